import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.neo4j.graphdb.Label;
import org.neo4j.graphdb.RelationshipType;
import org.neo4j.graphdb.Transaction;
import org.neo4j.graphdb.schema.IndexDefinition;
import org.neo4j.graphdb.schema.IndexType;
import org.neo4j.graphdb.spatial.Point;

/**
 * Asks one index for a sample of values and compares the answers with what the scan of all records counted.
 *
 * The sample are the values with the smallest hashes: one pass, bounded memory, exact counts.
 */
final class IndexCheck {
    private static final int SAMPLE = 15;

    private final IndexDefinition index;
    private final boolean ofNodes;
    private final Set<String> tokens = new LinkedHashSet<>();
    private final List<String> keys = new ArrayList<>();
    private final TreeMap<Long, Sample> sample = new TreeMap<>();
    private long indexed;
    private boolean simpleText = true;

    private static final class Sample {
        final List<Object> values;
        long count;

        Sample(List<Object> values) {
            this.values = values;
        }
    }

    private IndexCheck(IndexDefinition index) {
        this.index = index;
        ofNodes = index.isNodeIndex();
        if (ofNodes) {
            for (Label label : index.getLabels()) {
                tokens.add(label.name());
            }
        } else {
            for (RelationshipType type : index.getRelationshipTypes()) {
                tokens.add(type.name());
            }
        }
        index.getPropertyKeys().forEach(keys::add);
    }

    /** A check for the kinds of index that can be asked. Lookup indexes have a check of their own. */
    static Optional<IndexCheck> of(IndexDefinition index) {
        return switch (index.getIndexType()) {
            case RANGE, TEXT, POINT, FULLTEXT -> Optional.of(new IndexCheck(index));
            default -> Optional.empty();
        };
    }

    /** Looks at one entity of the scan. */
    void see(boolean node, List<String> entityTokens, Map<String, Object> properties) {
        if (node != ofNodes || entityTokens.stream().noneMatch(tokens::contains)) {
            return;
        }
        if (type() == IndexType.FULLTEXT) {
            seeWords(properties);
            return;
        }
        List<Object> values = new ArrayList<>();
        for (String key : keys) {
            Object value = properties.get(key);
            if (value == null || !holds(value)) {
                return;
            }
            values.add(value);
        }
        indexed++;
        if (values.stream().allMatch(IndexCheck::isComparable)) {
            count(values.stream().map(Canonical::value).collect(Collectors.joining("|")), values);
        }
    }

    void compare(Transaction tx, List<String> failures) {
        if (type() == IndexType.FULLTEXT) {
            compareWords(tx, failures);
            return;
        }
        if (type() == IndexType.RANGE) {
            String query = query(i -> "n.`" + keys.get(i) + "` IS NOT NULL");
            TokenCheck.report(failures, "index " + index.getName() + ", all", indexed, TokenCheck.count(tx, query));
        }
        String query = query(i -> "n.`" + keys.get(i) + "` = $v" + i);
        for (Sample one : sample.values()) {
            Map<String, Object> parameters = new HashMap<>();
            IntStream.range(0, keys.size()).forEach(i -> parameters.put("v" + i, one.values.get(i)));
            String what = "index " + index.getName() + ", " + one.values;
            TokenCheck.report(failures, what, one.count, TokenCheck.count(tx, query, parameters));
        }
    }

    private String query(java.util.function.IntFunction<String> condition) {
        String token = "`" + tokens.iterator().next() + "`";
        String pattern = ofNodes ? "(n:" + token + ")" : "()-[n:" + token + "]->()";
        String properties = keys.stream().map(key -> "`" + key + "`").collect(Collectors.joining(", "));
        String where = IntStream.range(0, keys.size()).mapToObj(condition).collect(Collectors.joining(" AND "));
        return "MATCH " + pattern + " USING " + type() + " INDEX n:" + token + "(" + properties + ") WHERE " + where
                + " RETURN count(*)";
    }

    private void seeWords(Map<String, Object> properties) {
        Set<String> words = new LinkedHashSet<>();
        for (String key : keys) {
            Object value = properties.get(key);
            if (value instanceof String) {
                simpleText &= ((String) value).matches("[A-Za-z0-9 ]*");
                words.addAll(List.of(((String) value).toLowerCase(Locale.ROOT).split(" ")));
            }
        }
        words.remove("");
        words.forEach(word -> count(word, List.of(word)));
    }

    private void compareWords(Transaction tx, List<String> failures) {
        if (!simpleText) {
            return; // The analyzer may split such texts in another way than we do.
        }
        String query = "CALL db.index.fulltext.query" + (ofNodes ? "Nodes" : "Relationships")
                + "($name, $word) YIELD score RETURN count(*)";
        for (Sample one : sample.values()) {
            String word = (String) one.values.get(0);
            Map<String, Object> parameters = Map.of("name", index.getName(), "word", "\"" + word + "\"");
            String what = "index " + index.getName() + ", word " + word;
            TokenCheck.report(failures, what, one.count, TokenCheck.count(tx, query, parameters));
        }
    }

    private void count(String key, List<Object> values) {
        long hash = Canonical.hash(key);
        Sample known = sample.get(hash);
        if (known == null) {
            if (sample.size() == SAMPLE) {
                if (sample.lastKey() < hash) {
                    return;
                }
                sample.pollLastEntry();
            }
            known = new Sample(values);
            sample.put(hash, known);
        }
        known.count++;
    }

    private boolean holds(Object value) {
        return switch (type()) {
            case TEXT -> value instanceof String;
            case POINT -> value instanceof Point;
            default -> true;
        };
    }

    /** Values for which equality in Cypher is equality of the canonical text (one type a key provided). */
    private static boolean isComparable(Object value) {
        boolean number = value instanceof Number && !Double.isNaN(((Number) value).doubleValue());
        return number || value instanceof String || value instanceof Boolean || value instanceof Point
                || value instanceof LocalDate;
    }

    private IndexType type() {
        return index.getIndexType();
    }
}
