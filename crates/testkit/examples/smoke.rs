use grap_testkit::{Distribution, Grap, LogKeeper, Server, Workload, WorkloadOptions};
use std::time::Duration;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let d = Distribution::standard()?;
    let folder = std::path::PathBuf::from("/tmp/smoke");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let mut server = Server::builder(&d)
        .busy_logs()
        .setting("db.tx_log.rotation.retention_policy", "keep_none")
        .start(&folder.join("home"))?;
    let _keeper = LogKeeper::start(&server.transaction_logs(), &folder.join("kept"))?;
    let grap = Grap::initialised(std::path::Path::new("/work/main/target/release/grap"), &folder)?;
    let home = server.home().display().to_string();
    let mut archiver = grap
        .command()
        .args(["archive", "--neo4j-home", &home])
        .stderr(std::fs::File::create(folder.join("archive.err"))?)
        .stdout(std::fs::File::create(folder.join("archive.out"))?)
        .spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    let workload = Workload::start(&server, WorkloadOptions::default())?;
    std::thread::sleep(Duration::from_secs(5));
    println!("{}", grap.json(&["backup", "--neo4j-home", &home])?);
    std::thread::sleep(Duration::from_secs(10));
    server.kill()?;
    server.restart()?;
    std::thread::sleep(Duration::from_secs(5));
    server.stop()?;
    server.restart()?;
    std::thread::sleep(Duration::from_secs(5));
    let (_o, s) = workload.stop()?;
    println!("{s:?}");
    std::thread::sleep(Duration::from_secs(1));
    std::process::Command::new("kill").arg(archiver.id().to_string()).status()?;
    println!("{:?}", archiver.wait()?);
    server.stop()?;
    Ok(())
}
