import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.neo4j.graphdb.Label;
import org.neo4j.graphdb.Node;
import org.neo4j.graphdb.Relationship;
import org.neo4j.graphdb.RelationshipType;
import org.neo4j.graphdb.ResourceIterator;
import org.neo4j.graphdb.Transaction;

/** Compares what the records say with the lookup indexes, the count store and the relationship chains. */
final class TokenCheck {
    private final Map<String, Long> labels = new TreeMap<>();
    private final Map<String, Long> types = new TreeMap<>();
    /** By internal id; -1: no such node. */
    private int[] degrees = new int[0];

    void node(Node node, List<String> itsLabels) {
        itsLabels.forEach(label -> labels.merge(label, 1L, Long::sum));
        int id = room(node.getId());
        degrees[id]++;
    }

    void relationship(Relationship relationship, String type) {
        types.merge(type, 1L, Long::sum);
        int start = room(relationship.getStartNodeId());
        int end = room(relationship.getEndNodeId());
        degrees[start]++;
        if (start != end) {
            degrees[end]++;
        }
    }

    void compare(Transaction tx, List<String> failures) {
        labels.forEach((label, count) -> {
            report(failures, "lookup of label " + label, count, size(tx.findNodes(Label.label(label))));
            report(failures, "count of label " + label, count, count(tx, "MATCH (n:`" + label + "`) RETURN count(*)"));
        });
        types.forEach((type, count) -> {
            report(failures, "lookup of type " + type, count,
                    size(tx.findRelationships(RelationshipType.withName(type))));
            report(failures, "count of type " + type, count,
                    count(tx, "MATCH ()-[r:`" + type + "`]->() RETURN count(*)"));
        });
        for (int id = 0; id < degrees.length; id++) {
            if (degrees[id] >= 0) {
                report(failures, "degree of node " + id, degrees[id], tx.getNodeById(id).getDegree());
            }
        }
    }

    /** An internal id of a node, for which there is room in the array. */
    private int room(long nodeId) {
        int id = Math.toIntExact(nodeId);
        if (id >= degrees.length) {
            int known = degrees.length;
            degrees = Arrays.copyOf(degrees, Math.max(id + 1, known * 2));
            Arrays.fill(degrees, known, degrees.length, -1);
        }
        return id;
    }

    static long count(Transaction tx, String query) {
        return count(tx, query, Map.of());
    }

    static long count(Transaction tx, String query, Map<String, Object> parameters) {
        try (var result = tx.execute(query, parameters)) {
            return ((Number) result.next().values().iterator().next()).longValue();
        }
    }

    static void report(List<String> failures, String what, long expected, long found) {
        if (expected != found) {
            failures.add(what + ": the records say " + expected + ", the answer is " + found);
        }
    }

    private static long size(ResourceIterator<?> all) {
        try (all) {
            return all.stream().count();
        }
    }
}
