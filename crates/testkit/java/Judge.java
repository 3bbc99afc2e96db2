import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.graphdb.GraphDatabaseService;
import org.neo4j.graphdb.Label;
import org.neo4j.graphdb.Node;
import org.neo4j.graphdb.Relationship;
import org.neo4j.graphdb.Result;
import org.neo4j.graphdb.Transaction;
import org.neo4j.graphdb.schema.ConstraintDefinition;
import org.neo4j.graphdb.schema.IndexDefinition;
import org.neo4j.graphdb.schema.Schema;
import org.neo4j.kernel.internal.GraphDatabaseAPI;
import org.neo4j.storageengine.api.TransactionIdStore;

/**
 * Opens data directories one after another with Neo4j's own code and reports what it finds.
 *
 * One request a line on standard input: home directory, file for the graph ("-" for none), seconds to wait, separated
 * by tabs. One answer a line on standard output: a JSON object. Opening recovers the database and the write test
 * adds transactions: the directory is used up.
 */
public final class Judge {
    private static final String DATABASE = "neo4j";

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] parts = line.split("\t");
            Map<String, Object> report;
            try {
                report = judge(Path.of(parts[0]), parts[1], Long.parseLong(parts[2]));
            } catch (Throwable problem) {
                report = refused(trace(problem));
            }
            answers.println(Json.text(report));
        }
    }

    private static Map<String, Object> judge(Path home, String output, long seconds) throws IOException {
        long begun = System.nanoTime();
        DatabaseManagementService service = new DatabaseManagementServiceBuilder(home)
                .loadPropertiesFromFile(home.resolve("conf/neo4j.conf"))
                .build();
        try {
            String refusal = awaitAvailable(service, seconds);
            if (refusal != null) {
                return refused(refusal);
            }
            GraphDatabaseService database = service.database(DATABASE);
            Map<String, Object> report = new TreeMap<>();
            report.put("opened", true);
            report.put("txId", lastCommitted(database));
            report.put("openMillis", millisSince(begun));
            List<String> failures = new ArrayList<>();
            try {
                examine(database, output, seconds, report, failures);
            } catch (RuntimeException problem) {
                failures.add("reading the database: " + trace(problem));
            }
            report.put("failures", failures);
            report.put("totalMillis", millisSince(begun));
            return report;
        } finally {
            service.shutdown();
        }
    }

    private static void examine(
            GraphDatabaseService database,
            String output,
            long seconds,
            Map<String, Object> report,
            List<String> failures)
            throws IOException {
        report.put("indexes", awaitIndexes(database, seconds));
        report.put("constraints", constraints(database));
        List<IndexCheck> checks = new ArrayList<>();
        TokenCheck tokens = new TokenCheck();
        try (Transaction tx = database.beginTx()) {
            for (IndexDefinition index : tx.schema().getIndexes()) {
                if (tx.schema().getIndexState(index) == Schema.IndexState.ONLINE) {
                    IndexCheck.of(index).ifPresent(checks::add);
                }
            }
            report.putAll(dump(tx, output, checks, tokens));
        }
        try (Transaction tx = database.beginTx()) {
            tokens.compare(tx, failures);
            for (IndexCheck check : checks) {
                check.compare(tx, failures);
            }
        }
        writeTest(database, failures);
    }

    /** Null when the database can be used, else why not. */
    private static String awaitAvailable(DatabaseManagementService service, long seconds) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (true) {
            try {
                if (service.database(DATABASE).isAvailable(50)) {
                    return null;
                }
            } catch (RuntimeException notYetOrNever) {
                // The status below tells which.
            }
            String[] status = status(service);
            if (!status[1].isEmpty()) {
                return status[0] + ": " + status[1];
            }
            if (System.nanoTime() > deadline) {
                return "not available within " + seconds + " s: " + status[0];
            }
        }
    }

    private static String[] status(DatabaseManagementService service) {
        String query = "SHOW DATABASES YIELD name, currentStatus, statusMessage WHERE name = '" + DATABASE
                + "' RETURN currentStatus, statusMessage";
        return service.database("system").executeTransactionally(query, Map.of(), (Result result) -> {
            if (!result.hasNext()) {
                return new String[] {"absent", "the system database does not know it"};
            }
            Map<String, Object> row = result.next();
            return new String[] {String.valueOf(row.get("currentStatus")), String.valueOf(row.get("statusMessage"))};
        });
    }

    private static long lastCommitted(GraphDatabaseService database) {
        return ((GraphDatabaseAPI) database)
                .getDependencyResolver()
                .resolveDependency(TransactionIdStore.class)
                .getLastCommittedTransactionId();
    }

    private static List<Object> awaitIndexes(GraphDatabaseService database, long seconds) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (true) {
            boolean populating = false;
            List<Object> all = new ArrayList<>();
            try (Transaction tx = database.beginTx()) {
                for (IndexDefinition index : tx.schema().getIndexes()) {
                    Schema.IndexState state = tx.schema().getIndexState(index);
                    populating |= state == Schema.IndexState.POPULATING;
                    String failure = state == Schema.IndexState.FAILED ? tx.schema().getIndexFailure(index) : "";
                    all.add(new TreeMap<>(Map.of(
                            "name", index.getName(),
                            "type", index.getIndexType().toString(),
                            "state", state.toString(),
                            "failure", failure)));
                }
            }
            if (!populating || System.nanoTime() > deadline) {
                return all;
            }
            pause();
        }
    }

    private static List<Object> constraints(GraphDatabaseService database) {
        try (Transaction tx = database.beginTx()) {
            List<Object> names = new ArrayList<>();
            for (ConstraintDefinition constraint : tx.schema().getConstraints()) {
                names.add(constraint.getName());
            }
            return names;
        }
    }

    /** Reads every record once: writes the graph, counts for the index checks. */
    private static Map<String, Object> dump(Transaction tx, String output, List<IndexCheck> checks, TokenCheck tokens)
            throws IOException {
        long digest = 0;
        long nodes = 0;
        long relationships = 0;
        Map<Long, Object> nodeKeys = new HashMap<>();
        try (BufferedWriter out = output.equals("-") ? null : Files.newBufferedWriter(Path.of(output));
                var allNodes = tx.getAllNodes();
                var allRelationships = tx.getAllRelationships()) {
            for (Node node : allNodes) {
                Map<String, Object> properties = node.getAllProperties();
                TreeMap<String, Object> line = Canonical.entity(node, properties);
                nodeKeys.put(node.getId(), line.get("k"));
                List<String> labels = new ArrayList<>();
                for (Label label : node.getLabels()) {
                    labels.add(label.name());
                }
                labels.sort(null);
                line.put("l", labels);
                tokens.node(node, labels);
                checks.forEach(check -> check.see(true, labels, properties));
                digest += write(out, line);
                nodes++;
            }
            for (Relationship relationship : allRelationships) {
                Map<String, Object> properties = relationship.getAllProperties();
                TreeMap<String, Object> line = Canonical.entity(relationship, properties);
                String type = relationship.getType().name();
                line.put("t", type);
                line.put("a", nodeKeys.get(relationship.getStartNodeId()));
                line.put("b", nodeKeys.get(relationship.getEndNodeId()));
                tokens.relationship(relationship, type);
                checks.forEach(check -> check.see(false, List.of(type), properties));
                digest += write(out, line);
                relationships++;
            }
        }
        return Map.of("nodes", nodes, "relationships", relationships, "digest", String.format("%016x", digest));
    }

    private static long write(BufferedWriter out, TreeMap<String, Object> line) throws IOException {
        String text = Json.text(line);
        if (out != null) {
            out.write(text);
            out.write('\n');
        }
        return Canonical.hash(text);
    }

    private static void writeTest(GraphDatabaseService database, List<String> failures) {
        try {
            try (Transaction tx = database.beginTx()) {
                tx.createNode(Label.label("JudgeWasHere")).setProperty("judge", 1L);
                tx.commit();
            }
            try (Transaction tx = database.beginTx(); var found = tx.findNodes(Label.label("JudgeWasHere"))) {
                int count = 0;
                while (found.hasNext()) {
                    found.next().delete();
                    count++;
                }
                tx.commit();
                if (count != 1) {
                    failures.add("write test: found " + count + " of 1 new nodes");
                }
            }
        } catch (RuntimeException problem) {
            failures.add("write test: " + trace(problem));
        }
    }

    private static Map<String, Object> refused(String reason) {
        return new TreeMap<>(Map.of("opened", false, "refusal", reason));
    }

    private static long millisSince(long nanos) {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
    }

    private static void pause() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    private static String trace(Throwable problem) {
        StringWriter text = new StringWriter();
        problem.printStackTrace(new PrintWriter(text));
        return text.toString();
    }
}
