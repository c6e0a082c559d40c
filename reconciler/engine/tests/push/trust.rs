//! Whose pushes are taken.

use std::process::Command;

use ordain_reconciler_engine::Trust;
use ordain_reconciler_source::{Signers, Verify};

use crate::world::{World, config};

#[allow(clippy::print_stderr, reason = "a suite that is left out says so")]
pub(crate) async fn a_push_that_is_not_signed_is_refused() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("left out: `ssh-keygen` is not installed");
        return;
    }
    let world = World::start_with(|folder, config| {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.join("ada"))
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "ssh-keygen makes a key"
        );
        let key = std::fs::read_to_string(folder.join("ada.pub")).expect("a key");
        let allowed = folder.join("allowed_signers");
        std::fs::write(&allowed, format!("ada@example.com {key}")).expect("written");
        config.trust = Trust {
            verify: Verify::Strict,
            signers: Signers {
                allowed_signers: Some(allowed),
                keyring: None,
            },
            hold_rewrites: false,
        };
    })
    .await;
    world.app("web", &[config("settings", "1")]);
    let push = world.push("unsigned").await;
    assert!(!push.ok, "{}", push.text);
    assert!(push.text.contains("it is not signed"), "{}", push.text);
    assert!(push.text.contains("the push is refused"), "{}", push.text);

    let key = format!("user.signingkey={}", world.folder().join("ada").display());
    let amended = world.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        key.as_str(),
        "commit",
        "--quiet",
        "--amend",
        "-S",
        "-m",
        "signed",
    ]);
    assert!(amended.ok, "{}", amended.text);
    let push = world.push_tip().await;
    assert!(push.ok, "{}", push.text);
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    world.stop().await;
}
