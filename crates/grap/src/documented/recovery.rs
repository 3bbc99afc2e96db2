//! `docs/recovery.md`: the diagram and the tables are made from the table of transitions, by walking over it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use grap_core::recovery::atlas::{self, Edge};
use grap_core::recovery::{FORWARD, STARTS_MAX, State, Status, What, share};
use grap_testkit::page;

const HEAD: &str = "# Recovery

<!-- Generated from crates/core/src/recovery by `make docs`; a test fails when it is stale. -->

A recovery makes a *candidate*: a data directory of its own, restored to the target. It opens the candidate in a test instance, validates it tier by
tier, and ends with a candidate that has passed them all, or failed. None of that touches the live database. Asked to, Grap then makes the candidate the live database, or, later, the
other way round: [promotion.md](promotion.md).

A recovery is a state machine. What happened is a list of events, in `recovery.journal` in the state directory; each event is synced before anything
follows from it. From the events follows what is owed: one order, or nothing. After a crash, of Grap or of the machine, the next run folds the events
and performs the same order again; each order looks first, and acts only where that is not done yet. A signal (Ctrl-C, SIGTERM) is a pause, too.

## Commands

```console
$ grap recover start                             # to the newest point, or what is under way goes on
$ grap recover start time=2026-11-25T02:00:00Z   # a target as grap restore takes it
$ grap recover status
$ grap recover promote                           # the candidate that has passed becomes live: promotion.md
$ grap recover rollback                          # what that has retired becomes live again
$ grap recover cancel                            # whoever is at it ends it; the candidate goes
$ grap recover reset                             # behind its end: the candidate goes, a new recovery can begin
```

`start` stays until the end, and exits with 0 only when the candidate has passed every tier; `RESTORE_HEALTH_FAILED` says that a tier found something, any other code
that a step could not be done. The target is fixed when it begins: `latest` means the same after a crash. Where `grap serve` runs on the state directory, it does the work.

The candidate lies in `.grap/candidate/<id>` in the live data directory: on the same file system, so that it can take the live one's place by a rename, and needs
the room of a second database there. `recovery.candidate_dir` names another place. In it:

| | |
|---|---|
| `recovery.json` | whose it is |
| `opener` | the release of the Neo4j that was started on it last |
| `data/` | the data directory: the user database, opened and stopped once |
| `system/` | the restored `system` database, which no server has opened; the test instance has one of its own |
| `home/` | what the test instance has of its own; it goes at the end |

A journal that cannot be read is refused by all but `reset`, which sets it aside. Which recovery was under way is forgotten then: what lies in the directory of candidates is to be
looked at, and removed by hand. (A promotion that was under way is found by what lies beside its barrier, and taken back, before that: where `reset` says that it could not look, remove nothing, the old database may lie there.) No Neo4j of it runs: it ends with the process that started it. Where `grap serve` runs, such a journal is the alert `journal.recovery`.

Do not put a candidate in place by hand: its `data/` has no `system` database (no users, no passwords), and a store and a log that do not belong together are served as if they did. `grap recover promote`
does it ([promotion.md](promotion.md)).

When the last tier has passed, a *print* of the candidate is noted in the journal: of each database the inodes of its two directories, a SHA-256 over the
names, sizes and times of all its files, and the last transaction of its log with its checksum. `grap recover status` looks at the candidate again, and says loudly
when it is not what has passed: cut, removed, replaced, or opened by a server since. Then it is not used (`CANDIDATE_CHANGED`). A changed byte under the old size and time it does not
see. A file system that gives a directory another inode when it is mounted anew (some networks and overlays do) raises it, too, though nobody has changed anything:
recover anew there. A candidate that an older program has judged has no print: nobody can say, and it is not used either.

The limits are part of what is fixed when it begins: a longer `recovery.start_limit_s` counts for the next recovery. And once a server was started on the candidate, ready or not, a recovery
that goes on needs the same release for as long as it needs one: another one is refused (`RECOVERY_STATE`).

A [drill](drill.md) is the same in scratch space.

## From outside

";

const DIAGRAM: &str = "
## The table

Every transition that there is. A state is the last thing that was done; on an arrow stands what happened. First those up to a validated candidate.

";

const SWITCH_DIAGRAM: &str = "
And those of a promotion, or of a rollback, which begins without a candidate ([promotion.md](promotion.md)).

";

const ORDERS: &str = "
## What is owed

The orders in their order, and how much of the progress (0 to 100) each of them is. The share is a guess that nothing depends on but a display; within
an order the bytes count.

";

const TAIL: &str = "
Two more belong to the ways back: *end the test instance* (by any means), and *remove the candidate*. Those of a promotion are in [promotion.md](promotion.md).

## What fails, and what then

- **An order that cannot be done** ends the recovery, with the error's code. Before the candidate is whole it is of no use, and is removed. A whole one is
  kept until the reset, with what the test instance left in it: somebody may want to see what is wrong.
- **A tier that fails** ends the validation: no later tier is asked. What was found is recorded beside the backup, and the candidate is kept. So it is
  when the server does not open the candidate at all: that is a verdict of the tier connectivity. A server that has ended of itself when it is to be stopped
  is recorded, too ([validation.md](validation.md#when-the-server-ends)).
- **A cancellation** is obeyed in the middle of an order, by the process that performs it. The test instance is ended and the candidate removed, also
  a whole one. What was recorded about the backup before stays.
- **A test instance that is gone**, because it ends with the process that had started it, is started again and asked everything; at most STARTS times
  on one candidate.
- **A record that cannot be written** (the repository is out of reach) does not spoil a candidate that has passed: the recovery succeeds, and says
  that the record is missing.
- **What cannot be cleared away** (a process that does not end, a directory that cannot be removed) is an error that names it, and stays owed. Each
  later run tries again; nothing new begins before.

On every way back a test instance is ended where one was started or was about to be, whether its start was seen to end or not; only then do its files
go. Only a directory that carries the id of the recovery is removed.

A reset is possible from every end. It removes the candidate; never what a promotion has retired: `grap recover release` does that.

## The journal

`recovery.journal` holds lines `crc32c SP json LF` behind a header. Each event has `at`, `event`, mostly `took_ms`, and what belongs to it. A torn last
line was never acknowledged, and is cut. A journal that is damaged before its end, or of a newer release, is refused: nothing is guessed about where a
recovery stood. Recoveries that ended stay in it as history; when there are many, the oldest go.
";

#[test]
fn the_recovery_is_documented() {
    let edges = atlas::edges();
    let mut text = HEAD.to_owned();
    text += &statuses(&edges);
    text += DIAGRAM;
    let (switch, candidate): (Vec<Edge>, Vec<Edge>) = edges.into_iter().partition(is_of_switch);
    text += &diagram(&candidate);
    text += SWITCH_DIAGRAM;
    text += &diagram(&switch);
    text += ORDERS;
    text += "| order | share |\n|---|---|\n";
    for each in FORWARD {
        let _ = writeln!(text, "| {each} | {} |", share(each));
    }
    text += &TAIL.replace("STARTS", &STARTS_MAX.to_string());
    page::assert_current("docs/recovery.md", &text);
}

/// Which states each name outside stands for.
fn statuses(edges: &[Edge]) -> String {
    let mut text = "| name | states |\n|---|---|\n".to_owned();
    for status in Status::ALL {
        let of_it = edges.iter().map(|edge| &edge.from).filter(|state| state.status() == status);
        let mut names: Vec<&str> = Vec::new();
        for name in of_it.map(State::phase_name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let _ = writeln!(text, "| `{status}` | {} |", names.join(", "));
    }
    text
}

fn is_of_switch(edge: &Edge) -> bool {
    let is_of_it = |state: &State| state.recovery().is_some_and(|recovery| recovery.switch.is_some());
    let to_reset = matches!(edge.event.what, What::ResetAsked | What::CandidateRemoved);
    (is_of_it(&edge.from) || is_of_it(&edge.to)) && !to_reset
}

/// One arrow for all that leads from one state to another.
fn diagram(edges: &[Edge]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut arrows: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
    for edge in edges {
        let [from, to] = [&edge.from, &edge.to].map(|state| {
            let name = state.phase_name();
            names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        });
        let told = told(edge);
        let labels = arrows.entry((from, to)).or_default();
        if !labels.contains(&told) {
            labels.push(told);
        }
    }
    let first = names.first().copied().unwrap_or_default();
    let mut text = format!("```mermaid\nstateDiagram-v2\n    [*] --> {first}\n");
    for ((from, to), labels) in arrows {
        let _ = writeln!(text, "    {} --> {}: {}", names[from], names[to], labels.join(", "));
    }
    text + "```\n"
}

/// What happened. A tier's answer has two names: what follows depends on it.
fn told(edge: &Edge) -> &'static str {
    match &edge.event.what {
        What::Judged { judgement, .. } if judgement.failed() => "judged as failed",
        what => what.name(),
    }
}
