//! *System* and *Now* say of when the last backup is, and what is wrong with backups.

use autocall::store::access::users::Role;

use crate::client::Visitor;
use crate::harness::{Home, on_both};

on_both!(the_last_backup_and_what_is_wrong_with_backups_are_shown);

async fn the_last_backup_and_what_is_wrong_with_backups_are_shown(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("back <ups>");
    let server = home.set("AUTOCALL_BACKUP_DIR", dir.to_str().unwrap()).start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/system").await;
    assert!(page.shows("Last good backup") && page.shows("none yet"), "{}", page.body);
    server.app.engine.keep_backups().await.unwrap();
    let page = lin.get("/system").await;
    assert!(page.shows("back &lt;ups&gt;") && page.shows(".backup") && page.shows("Nothing is wrong"), "{}", page.body);

    // The folder has become a file.
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::write(&dir, "").unwrap();
    server.home.clock.advance(chrono::TimeDelta::hours(24));
    server.app.engine.keep_backups().await.unwrap();
    let page = lin.get("/system").await;
    assert!(page.shows("Backups fail") && page.shows("The last attempt failed"), "{}", page.body);
    assert!(page.shows("back &lt;ups&gt;"), "the last good one is told all the same: {}", page.body);
    for (language, word) in [("zh", "备份失败"), ("ja", "バックアップに失敗しています"), ("es", "Las copias de seguridad fallan")]
    {
        assert!(lin.get(&format!("/system?lang={language}")).await.shows(word), "{language}");
    }
    // Whoever may not look after the server hears that they fail, and not where its files are.
    let mut ann = Visitor::logged_in(&server, "ann", Role::Viewer).await;
    let now = ann.get("/").await;
    assert!(now.shows("Backups fail") && !now.shows("back &lt;ups&gt;"), "{}", now.body);
}
