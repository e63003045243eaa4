//! Asking whose change counts where an entry was changed here and on another device.

use std::io::{self, BufRead, IsTerminal, Write};

use mesh_client::changes::{Collision, Decisions, Keep, Side};

use crate::failure::Failure;
use crate::output::plain;

/// Asks at the terminal about each of `collisions`. False if there is no terminal to ask at.
pub(super) fn ask(collisions: &[Collision], decisions: &mut Decisions) -> Result<bool, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(false);
    }
    asked_at(
        collisions,
        decisions,
        &mut io::stdin().lock(),
        &mut io::stderr().lock(),
    )
    .map_err(|error| Failure::usage(format!("the terminal cannot be used: {error}")))
}

/// Asks about each collision until there is an answer. False if the person would rather not say.
fn asked_at(
    collisions: &[Collision],
    decisions: &mut Decisions,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<bool> {
    for collision in collisions {
        writeln!(
            output,
            "{} {:?} was {} here, and {} on another device.",
            collision.container,
            plain(&collision.id),
            done(collision.mine),
            done(collision.theirs)
        )?;
        loop {
            write!(output, "Keep [m]ine, [t]heirs, or [q]uit? ")?;
            output.flush()?;
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            match line.trim().to_lowercase().as_str() {
                "m" | "mine" => decisions.decide(collision, Keep::Mine),
                "t" | "theirs" => decisions.decide(collision, Keep::Theirs),
                "q" | "quit" => return Ok(false),
                _ => continue,
            }
            break;
        }
    }
    Ok(true)
}

const fn done(side: Side) -> &'static str {
    match side {
        Side::Changed => "changed",
        Side::Deleted => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collision(id: &str) -> Collision {
        Collision {
            container: "mmm_Bookmark".into(),
            id: id.into(),
            mine: Side::Changed,
            theirs: Side::Deleted,
        }
    }

    fn answered(typed: &str) -> (bool, Decisions, String) {
        let (mut decisions, mut shown) = (Decisions::default(), Vec::new());
        let collisions = [collision("a"), collision("b")];
        let mut input = typed.as_bytes();
        let goes_on = asked_at(&collisions, &mut decisions, &mut input, &mut shown).unwrap();
        (goes_on, decisions, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn every_collision_is_asked_about_until_there_is_an_answer() {
        let (goes_on, decisions, shown) = answered("perhaps\nm\nTheirs\n");
        assert!(goes_on);
        assert_eq!(decisions.about("mmm_Bookmark", "a"), Some(Keep::Mine));
        assert_eq!(decisions.about("mmm_Bookmark", "b"), Some(Keep::Theirs));
        assert!(shown.starts_with(
            "mmm_Bookmark \"a\" was changed here, and deleted on another device.\nKeep [m]ine"
        ));
        assert_eq!(shown.matches("Keep").count(), 3);
    }

    #[test]
    fn who_quits_decides_nothing_more() {
        for typed in ["m\nq\n", "m\n"] {
            let (goes_on, decisions, _) = answered(typed);
            assert!(!goes_on);
            assert_eq!(decisions.about("mmm_Bookmark", "b"), None);
        }
    }
}
