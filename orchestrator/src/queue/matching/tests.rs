//! Tables of what fits what.

mod devices;

use haywain_shared::protocol::{AddonFacts, BlenderBuild, BlenderKind};
use serde_json::{Value, json};

use super::*;

fn blenders(versions: &[&str]) -> Vec<BlenderFacts> {
    let facts = |version: &&str| BlenderBuild { version: (*version).to_owned(), kind: BlenderKind::Program }.into();
    versions.iter().map(facts).collect()
}

fn needs(options: Value, requirements: Value) -> Needs {
    Needs {
        options: serde_json::from_value(options).unwrap(),
        submitter: Submitter::Nobody,
        requirements: serde_json::from_value(requirements).unwrap(),
        saved_by: None,
        pinned: None,
        ran_out_at_bytes: None,
        looks: None,
        begun_with: None,
        refused_by: BTreeMap::new(),
    }
}

/// An agent that says nothing of its devices, and has no memory free.
fn barn<'a>(blenders: &'a [BlenderFacts], abilities: &'a Abilities) -> Applicant<'a> {
    Applicant { id: AgentId::generate(), name: "barn", blenders, abilities, devices: None, memory_available_bytes: 0 }
}

#[test]
fn an_agent_gets_what_it_can_render() {
    let rig = AddonFacts { name: "rig".to_owned(), version: None };
    let able: Abilities = serde_json::from_value(json!({
        "scripts": "allowed", "addons": [rig], "tags": ["big", "upstairs"]
    }))
    .unwrap();
    let plain = Abilities::default();
    let tag = |name: &str| name.parse::<Tag>().unwrap();
    let size = |text: &str| text.parse::<Size>().unwrap();
    let no_tag = |names: &[&str]| Some(Misfit::NoTag(names.iter().map(|name| tag(name)).collect()));
    let id = AgentId::generate();
    let none = || json!({});
    #[rustfmt::skip]
    let cases = [
        (none(), none(), &plain, None),
        (none(), none(), &able, None),
        (json!({"scripts": "allowed"}), none(), &able, None),
        (json!({"scripts": "allowed"}), none(), &plain, Some(Misfit::ScriptsBlocked(Submitter::Nobody))),
        (json!({"addons": ["rig"]}), none(), &able, None),
        (json!({"addons": ["rig", "sky"]}), none(), &able, Some(Misfit::NoAddon("sky".to_owned()))),
        (none(), json!({"tags": {"allOf": ["big", "upstairs"], "anyOf": ["big", "x"], "noneOf": ["x"]}}), &able, None),
        (none(), json!({"tags": {"allOf": ["big", "x"]}}), &able, no_tag(&["x"])),
        (none(), json!({"tags": {"anyOf": ["x", "y"]}}), &able, no_tag(&["x", "y"])),
        (none(), json!({"tags": {"noneOf": ["upstairs"]}}), &able, Some(Misfit::Tagged(tag("upstairs")))),
        (none(), json!({"tags": {"noneOf": ["upstairs"]}}), &plain, None),
        (none(), json!({"agents": {"only": ["barn", "mill"]}}), &plain, None),
        (none(), json!({"agents": {"only": [id]}}), &plain, None),
        (none(), json!({"agents": {"only": ["mill"]}}), &plain, Some(Misfit::NotNamed)),
        (none(), json!({"agents": {"except": ["mill"]}}), &plain, None),
        (none(), json!({"agents": {"except": ["barn"]}}), &plain, Some(Misfit::Excluded)),
        (none(), json!({"agents": {"except": [id]}}), &plain, Some(Misfit::Excluded)),
        (none(), json!({"memory": "4GiB"}), &plain, None),
        (none(), json!({"memory": "5GiB"}), &plain,
            Some(Misfit::LittleMemory { wanted: size("5GiB"), has_bytes: 4 << 30 })),
    ];
    let blenders = blenders(&["3.4.1"]);
    for (options, requirements, abilities, misfit) in cases {
        let agent = Applicant { id, memory_available_bytes: 4 << 30, ..barn(&blenders, abilities) };
        let needs = needs(options, requirements);
        assert_eq!(needs.fit(&agent).err(), misfit, "{needs:?}");
    }
}

#[test]
fn scripts_run_where_the_job_s_token_is_trusted() {
    let rule = |json: Value| Abilities { scripts: serde_json::from_value(json).unwrap(), ..Abilities::default() };
    let token = |name: &str| Submitter::Token(name.to_owned());
    let revoked = |name: &str| Submitter::Revoked(name.to_owned());
    let anna = || json!({"allowedFor": ["anna", "lighting"]});
    #[rustfmt::skip]
    let cases = [
        ("blocked", json!("allowed"), Submitter::Nobody, None),
        ("allowed", json!("allowed"), Submitter::Nobody, None),
        ("allowed", json!("allowed"), revoked("anna"), None),
        ("allowed", json!("blocked"), token("anna"), Some("lets scripts of the token anna run (--allow-scripts)")),
        ("allowed", anna(), token("anna"), None),
        ("allowed", anna(), token("lighting"), None),
        ("blocked", anna(), token("bob"), None),
        ("allowed", anna(), token("bob"), Some("lets scripts of the token bob run (--allow-scripts)")),
        ("allowed", anna(), Submitter::Nobody, Some("lets scripts of jobs without a token run (--allow-scripts)")),
        // Who has the name now does not speak for the jobs of the one before.
        ("allowed", anna(), revoked("anna"),
            Some("lets scripts of everybody run (--allow-scripts), and the job's token, anna, is revoked")),
    ];
    let blenders = blenders(&["3.4.1"]);
    for (scripts, trust, submitter, misfit) in cases {
        let abilities = rule(trust);
        let agent = Applicant { memory_available_bytes: 4 << 30, ..barn(&blenders, &abilities) };
        let needs = Needs { submitter, ..needs(json!({"scripts": scripts}), json!({})) };
        let told = needs.fit(&agent).err().map(|misfit| misfit.to_string());
        assert_eq!(told.as_deref(), misfit, "{needs:?} on {abilities:?}");
    }
}

#[test]
fn the_blender_closest_to_the_file_s_own_is_used() {
    /// The requirement, the Blender that saved the file, the one that is pinned, those that the agent has; the one that is used.
    type Case = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str);
    #[rustfmt::skip]
    let cases: [Case; 21] = [
        // Nothing is known, nothing asked: the agent's best.
        ("", "", "", &["5.0.1", "3.4.1"], "5.0.1"),
        ("", "", "", &[], ""),
        // The file's own release, else the next newer, never an older one.
        ("", "3.4", "", &["5.0.1", "3.4.1"], "3.4.1"),
        ("", "5.0", "", &["3.4.1", "5.0.1 LTS"], "5.0.1 LTS"),
        ("", "4.2", "", &["5.0.1", "4.5.3", "3.4.1"], "4.5.3"),
        ("", "4.2", "", &["4.2.1", "4.2.23 LTS", "4.2.3"], "4.2.23 LTS"),
        ("", "4.2", "", &["4.10.0", "4.3.0", "4.3.2"], "4.3.2"),
        ("", "5.0", "", &["3.4.1", "4.5.3"], ""),
        // What is asked for counts, also against the file.
        ("*", "4.2", "", &["5.0.1", "4.1.1"], "5.0.1"),
        ("*", "4.2", "", &["3.4.1", "4.1.0", "4.1.1"], "4.1.1"),
        ("5", "3.4", "", &["3.4.1", "5.1.0", "5.0.1"], "5.0.1"),
        ("3.4", "5.0", "", &["5.0.1", "3.4.1"], "3.4.1"),
        (">=4.2, <5", "3.4", "", &["5.0.1", "4.5.3", "4.2.0", "3.4.1"], "4.2.0"),
        (">=4.2, <5", "", "", &["5.0.1", "4.5.3", "4.2.0"], "4.5.3"),
        ("4.2", "", "", &["5.0.1", "3.4.1"], ""),
        // What the job was begun with, and nothing else.
        ("", "3.4", "5.0.1", &["3.4.1", "5.0.1"], "5.0.1"),
        ("", "3.4", "3.4.1", &["3.4.2", "5.0.1"], ""),
        (">=4", "", "4.2.0", &["5.0.1", "4.2.0"], "4.2.0"),
        ("", "", "4.2.0", &["5.0.1"], ""),
        // Of two that are alike the first; what is no version is none.
        ("", "3.4", "", &["3.4.1", "3.4.1 LTS"], "3.4.1"),
        ("*", "", "", &["nightly", "3.4.1"], "3.4.1"),
    ];
    for (asked, saved_by, pinned, has, used) in cases {
        let needs = Needs {
            requirements: Requirements { blender: asked.parse().ok(), ..Requirements::default() },
            saved_by: saved_by.parse().ok(),
            pinned: pinned.parse().ok(),
            ..needs(json!({}), json!({}))
        };
        let (blenders, abilities) = (blenders(has), Abilities::default());
        let found = needs.fit(&barn(&blenders, &abilities)).map(|fit| fit.blender.version).unwrap_or_default();
        assert_eq!(found, used, "{asked:?}, saved by {saved_by:?}, begun with {pinned:?}, of {has:?}");
    }
}

#[test]
fn frames_that_ran_out_of_memory_fit_where_there_is_more() {
    #[rustfmt::skip]
    let cases = [
        // asked, ran out at, free -> whether it fits
        (json!({}), None, 0, true),
        (json!({}), Some(4), 4, false),
        (json!({}), Some(4), 5, true),
        (json!({"memory": "8GiB"}), Some(4), 6, false),
        (json!({"memory": "2GiB"}), Some(4), 3, false),
    ];
    let (blenders, abilities) = (blenders(&["3.4.1"]), Abilities::default());
    for (asked, ran_out_at, free, fits) in cases {
        let needs = Needs { ran_out_at_bytes: ran_out_at.map(|gib: u64| gib << 30), ..needs(json!({}), asked) };
        let agent = Applicant { memory_available_bytes: free << 30, ..barn(&blenders, &abilities) };
        assert_eq!(needs.fit(&agent).is_ok(), fits, "{needs:?}, {free} GiB free");
    }
}

#[test]
fn a_job_says_what_it_waits_for() {
    /// Agents: their names, their Blenders, their tags.
    type Agents = &'static [(&'static str, &'static [&'static str], &'static [&'static str])];
    let new = Needs { saved_by: "5.0".parse().ok(), ..needs(json!({}), json!({})) };
    let old = Needs { saved_by: "3.4".parse().ok(), ..needs(json!({}), json!({})) };
    let asked = needs(json!({}), json!({"blender": ">=4.2, <5"}));
    let pinned = Needs { pinned: "3.4.2".parse().ok(), ..old.clone() };
    let tagged = needs(json!({}), json!({"tags": {"allOf": ["big"]}, "memory": "64GiB"}));
    let two: Agents = &[("barn", &["3.4.1"], &["big"]), ("mill", &["2.93.18", "3.4.1"], &[])];
    let many: Agents = &[
        ("a", &[], &[]),
        ("b", &[], &[]),
        ("c", &[], &[]),
        ("d", &[], &[]),
        ("e", &[], &[]),
        ("f", &[], &[]),
        ("g", &[], &[]),
    ];
    let cases: [(&Needs, Agents, &[&str]); 8] = [
        (&old, two, &[]),
        (&old, &[], &["no agent is there that takes work"]),
        (
            &new,
            two,
            &[
                "no agent has Blender 5.0, which saved the file, or a newer one: not barn (3.4.1), mill (2.93.18, 3.4.1)",
            ],
        ),
        (&asked, &two[..1], &["no agent has Blender >=4.2, <5, which the job asks for: not barn (3.4.1)"]),
        (&pinned, &two[..1], &["no agent has Blender 3.4.2, which the job was begun with: not barn (3.4.1)"]),
        (&tagged, two, &["of barn (1024 MiB) none has 64GiB of memory free", "of mill none has the tag big (--tag)"]),
        (&tagged, &two[1..], &["no agent has the tag big (--tag): not mill"]),
        (
            &old,
            many,
            &["no agent has Blender 3.4, which saved the file, or a newer one: \
               not a (none), b (none), c (none), d (none), e (none) and 2 more"],
        ),
    ];
    for (needs, agents, reasons) in cases {
        let facts: Vec<_> = agents
            .iter()
            .map(|(name, has, tags)| {
                let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
                (*name, blenders(has), Abilities { tags, ..Abilities::default() })
            })
            .collect();
        let applicants = facts.iter().map(|(name, blenders, abilities)| Applicant {
            id: AgentId::generate(),
            name,
            blenders,
            abilities,
            devices: None,
            memory_available_bytes: 1 << 30,
        });
        assert_eq!(why_it_waits(needs, applicants), reasons, "{needs:?}");
    }
}

#[test]
fn an_agent_that_has_refused_a_job_does_not_fit_it() {
    let (blenders, abilities) = (blenders(&["4.2.1"]), Abilities::default());
    let (barn, mill) = (AgentId::generate(), AgentId::generate());
    let agent = |id, name| Applicant { id, name, ..self::barn(&blenders, &abilities) };
    let needs = Needs { refused_by: [(barn, "its GPU is gone".to_owned())].into(), ..needs(json!({}), json!({})) };
    assert!(needs.fit(&agent(mill, "mill")).is_ok());
    let reason = "no agent has been able to render it: not barn (its GPU is gone)";
    assert_eq!(why_it_waits(&needs, [agent(barn, "barn")]), [reason]);
}
