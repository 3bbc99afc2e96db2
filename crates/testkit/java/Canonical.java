import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.temporal.ChronoUnit;
import java.time.temporal.TemporalAmount;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.neo4j.graphdb.Entity;
import org.neo4j.graphdb.spatial.Point;

/** Values and entities in the canonical text of the test kit (see value.rs, which is its definition). */
final class Canonical {
    private static final MessageDigest SHA_256 = sha256();

    private Canonical() {}

    /** An entity as a line of the graph: its key "k" and its properties. */
    static TreeMap<String, Object> entity(Entity entity, Map<String, Object> properties) {
        TreeMap<String, String> canonical = new TreeMap<>();
        properties.forEach((name, value) -> canonical.put(name, value(value)));
        TreeMap<String, Object> line = new TreeMap<>();
        line.put("k", key(entity, properties));
        line.put("p", canonical);
        return line;
    }

    /** The key, a number; for an entity that the workload did not make its internal id, a text. */
    static Object key(Entity entity, Map<String, Object> properties) {
        Object key = properties.get("k");
        return key instanceof Number ? (Object) ((Number) key).longValue() : "#" + entity.getId();
    }

    static String value(Object value) {
        if (value instanceof Double || value instanceof Float) {
            return "f:" + bits(((Number) value).doubleValue());
        } else if (value instanceof Number) {
            return "i:" + value;
        } else if (value instanceof Boolean) {
            return "b:" + value;
        } else if (value instanceof String || value instanceof Character) {
            return "s:" + value;
        } else if (value instanceof byte[]) {
            return "x:" + HexFormat.of().formatHex((byte[]) value);
        } else if (value.getClass().isArray()) {
            return list(value);
        } else if (value instanceof Point) {
            return point((Point) value);
        }
        return temporal(value);
    }

    static long hash(String text) {
        return ByteBuffer.wrap(SHA_256.digest(text.getBytes(StandardCharsets.UTF_8))).getLong();
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static String temporal(Object value) {
        if (value instanceof LocalDate) {
            return "d:" + ((LocalDate) value).toEpochDay();
        } else if (value instanceof LocalTime) {
            return "lt:" + ((LocalTime) value).toNanoOfDay();
        } else if (value instanceof OffsetTime) {
            OffsetTime time = (OffsetTime) value;
            return "t:" + time.toLocalTime().toNanoOfDay() + "," + time.getOffset().getTotalSeconds();
        } else if (value instanceof LocalDateTime) {
            LocalDateTime at = (LocalDateTime) value;
            return "ldt:" + at.toEpochSecond(ZoneOffset.UTC) + "," + at.getNano();
        } else if (value instanceof ZonedDateTime) {
            ZonedDateTime at = (ZonedDateTime) value;
            Object zone = at.getZone() instanceof ZoneOffset
                    ? ((ZoneOffset) at.getZone()).getTotalSeconds()
                    : at.getZone().getId();
            return "dt:" + at.toEpochSecond() + "," + at.getNano() + "," + zone;
        } else if (value instanceof TemporalAmount) {
            TemporalAmount amount = (TemporalAmount) value;
            return "du:" + amount.get(ChronoUnit.MONTHS) + "," + amount.get(ChronoUnit.DAYS) + ","
                    + amount.get(ChronoUnit.SECONDS) + "," + amount.get(ChronoUnit.NANOS);
        }
        return "?:" + value.getClass().getName() + ":" + value;
    }

    private static String list(Object array) {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < Array.getLength(array); i++) {
            String item = value(Array.get(array, i)).replace("\\", "\\\\").replace(",", "\\,");
            text.append(i == 0 ? "" : ",").append(item);
        }
        return text.append("]").toString();
    }

    private static String point(Point point) {
        StringBuilder text = new StringBuilder("p:" + point.getCRS().getCode());
        for (double coordinate : point.getCoordinate().getCoordinate()) {
            text.append(",").append(bits(coordinate));
        }
        return text.toString();
    }

    private static String bits(double value) {
        return HexFormat.of().toHexDigits(Double.doubleToRawLongBits(value));
    }
}
