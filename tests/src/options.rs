//! What benches are told behind `--`: names and their values.

/// The words behind the program's name, without the one that cargo adds.
fn own<'a>(words: &[&'a str]) -> impl Iterator<Item = &'a str> {
    words.iter().copied().filter(|&word| word != "--bench")
}

/// Gives each name with its value to `take`, which says whether there is such an option; names among
/// `flags` stand alone, and come with an empty value.
///
/// # Errors
/// A name without a value, a name that `take` does not know, and what `take` finds wrong with a value.
pub fn read<E: From<String>>(
    words: &[&str],
    flags: &[&str],
    mut take: impl FnMut(&str, &str) -> Result<bool, E>,
) -> Result<(), E> {
    let mut words = own(words);
    while let Some(name) = words.next() {
        let value = match flags.contains(&name) {
            true => "",
            false => words
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?,
        };
        if !take(name, value)? {
            return Err(format!("there is no option {name}").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        read(words, &["--alone"], |name, value| {
            told.push(format!("{name}={value}"));
            Ok::<_, String>(name != "--odd")
        })?;
        Ok(told)
    }

    #[test]
    fn names_come_with_their_values_and_flags_alone() {
        assert_eq!(
            told(&["--bench", "--rounds", "3", "--alone", "--pin", "0"]),
            Ok(vec![
                "--rounds=3".into(),
                "--alone=".into(),
                "--pin=0".into()
            ])
        );
        assert_eq!(told(&[]), Ok(Vec::new()));
        assert_eq!(
            told(&["--odd", "1"]),
            Err("there is no option --odd".into())
        );
        assert_eq!(told(&["--rounds"]), Err("--rounds needs a value".into()));
    }
}
