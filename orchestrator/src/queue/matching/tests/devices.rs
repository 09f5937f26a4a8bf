//! Tables of which devices and denoisers fit which scenes.

use haywain_shared::devices::PartFacts;
use haywain_shared::inspection::CyclesFacts;

use super::*;

/// A Blender with these devices, the ids of which are their words.
fn equipped(version: &str, devices: &[DeviceKind]) -> BlenderFacts {
    let [facts] = &blenders(&[version])[..] else { unreachable!("one is asked for") };
    let device = |kind: &DeviceKind| DeviceFacts { kind: *kind, name: "RTX".to_owned(), id: kind.word().to_owned() };
    BlenderFacts { devices: devices.iter().map(device).collect(), ..facts.clone() }
}

fn looks(looks: &[(&str, &str, &str)]) -> Vec<SceneLook> {
    let look = |(name, engine, device): &(&str, &str, &str)| SceneLook {
        name: (*name).to_owned(),
        engine: (*engine).to_owned(),
        device: Some((*device).to_owned()).filter(|device| !device.is_empty()),
        cycles: None,
        compositor_denoiser: None,
    };
    looks.iter().map(look).collect()
}

#[test]
fn an_agent_gets_what_its_devices_render() {
    use DeviceKind::{Cpu, Cuda, Graphics, Optix, Software};
    let plain = [equipped("4.2.1", &[Cpu, Software])];
    // The older one was built without GPUs.
    let strong = [equipped("4.2.1", &[Cpu]), equipped("5.0.1", &[Cpu, Optix, Cuda, Graphics])];
    let gpu = Some(looks(&[("Shot", "CYCLES", "GPU"), ("Still", "CYCLES", "CPU")]));
    let eevee = Some(looks(&[("Shot", "BLENDER_EEVEE", "")]));
    let mut eevee_or_gpu = eevee.clone();
    for look in eevee_or_gpu.iter_mut().flatten() {
        look.cycles = Some(CyclesFacts { device: "GPU".to_owned(), denoiser: None });
    }
    let lacks = |wanted: Lacking, has: &[DeviceKind]| Err(Misfit::NoDevice { wanted, has: has.to_vec() });
    let fits = |version: &str, device: Option<DeviceKind>| Ok(Fit { blender: equipped(version, &[]).build, device });
    #[rustfmt::skip]
    let cases = [
        // Nobody has looked into the scene: whoever opens it will see.
        (json!({}), None, None, &plain[..], None, fits("4.2.1", None)),
        (json!({}), gpu.clone(), None, &plain[..], None, lacks(Lacking::GpuForTheScene, &[Cpu, Software])),
        (json!({"device": "any"}), gpu.clone(), None, &plain[..], None, fits("4.2.1", Some(Cpu))),
        (json!({"device": "cpu"}), gpu.clone(), None, &strong[..], None, fits("4.2.1", Some(Cpu))),
        (json!({"sceneName": "Still"}), gpu.clone(), None, &plain[..], None, fits("4.2.1", Some(Cpu))),
        // A newer Blender, where the closest cannot.
        (json!({}), gpu.clone(), None, &strong[..], None, fits("5.0.1", Some(Optix))),
        (json!({"device": "cuda"}), gpu.clone(), None, &strong[..], None, fits("5.0.1", Some(Cuda))),
        (json!({"device": "hip"}), gpu.clone(), None, &strong[1..], None,
            lacks(Lacking::Kind(DeviceKind::Hip), &[Cpu, Optix, Cuda, Graphics])),
        (json!({"device": "optix"}), None, None, &plain[..], None, lacks(Lacking::Kind(Optix), &[Cpu, Software])),
        // One slot has the GPU, and another asks.
        (json!({}), gpu.clone(), None, &strong[1..], Some(vec!["cpu"]), lacks(Lacking::GpuForTheScene, &[Cpu])),
        (json!({}), gpu.clone(), None, &strong[1..], Some(vec!["cuda"]), fits("5.0.1", Some(Cuda))),
        // What a job was begun with.
        (json!({}), gpu.clone(), Some(Cuda), &strong[..], None, fits("5.0.1", Some(Cuda))),
        (json!({"device": "any"}), gpu.clone(), Some(Optix), &plain[..], None, lacks(Lacking::Begun(Optix), &[Cpu, Software])),
        // What draws.
        (json!({}), eevee.clone(), None, &plain[..], None, lacks(Lacking::Graphics, &[Cpu, Software])),
        (json!({"device": "software"}), eevee.clone(), None, &plain[..], None, fits("4.2.1", Some(Software))),
        (json!({}), eevee.clone(), None, &strong[..], None, fits("5.0.1", Some(Graphics))),
        (json!({"engine": "WORKBENCH"}), gpu.clone(), None, &strong[..], None, fits("5.0.1", Some(Graphics))),
        (json!({"engine": "CYCLES"}), eevee, None, &plain[..], None, fits("4.2.1", None)),
        (json!({"engine": "CYCLES"}), eevee_or_gpu.clone(), None, &plain[..], None,
            lacks(Lacking::GpuForTheScene, &[Cpu, Software])),
        (json!({"engine": "CYCLES"}), eevee_or_gpu, None, &strong[..], None, fits("5.0.1", Some(Optix))),
        // An agent of which nothing is known.
        (json!({}), gpu, None, &[equipped("4.2.1", &[])][..], None, fits("4.2.1", None)),
    ];
    let abilities = Abilities::default();
    for (options, looks, begun_with, blenders, free, expected) in cases {
        let needs = Needs { looks, begun_with, saved_by: "4.2".parse().ok(), ..needs(options, json!({})) };
        let free: Option<Vec<String>> = free.map(|ids| ids.into_iter().map(str::to_owned).collect());
        let agent = Applicant { devices: free.as_deref(), ..barn(blenders, &abilities) };
        assert_eq!(needs.fit(&agent), expected, "{needs:?} {blenders:?}");
    }
}

#[test]
fn a_job_says_which_device_it_waits_for() {
    let abilities = Abilities::default();
    let mut facts = equipped("4.2.1", &[DeviceKind::Cpu, DeviceKind::Software]);
    let failure = "Blender died of it".to_owned();
    facts.engines = vec![PartFacts { name: "EEVEE".to_owned(), failure: Some(failure) }];
    let blenders = [facts];
    let gpu = Some(looks(&[("Shot", "CYCLES", "GPU")]));
    let eevee = Some(looks(&[("Shot", "BLENDER_EEVEE_NEXT", "")]));
    let cases = [
        (
            json!({"device": "optix"}),
            gpu.clone(),
            "no agent has OptiX, which the job asks for: not barn (CPU, software that draws)",
        ),
        (
            json!({}),
            gpu,
            "no agent has GPU, which the scene asks for (device: any would take a CPU): not barn (CPU, software that draws)",
        ),
        (json!({}), eevee, "no agent has a Blender whose EEVEE works: not barn (Blender died of it)"),
    ];
    for (options, looks, reason) in cases {
        let needs = Needs { looks, ..needs(options, json!({})) };
        assert_eq!(why_it_waits(&needs, [barn(&blenders, &abilities)]), [reason]);
    }
}

#[test]
fn a_scene_goes_where_its_denoiser_works() {
    let part =
        |name: &str, failure: Option<&str>| PartFacts { name: name.to_owned(), failure: failure.map(str::to_owned) };
    let (oidn, optix) = ("OPENIMAGEDENOISE", "OPTIX");
    let with =
        |version: &str, denoisers: Vec<PartFacts>| BlenderFacts { denoisers, ..equipped(version, &[DeviceKind::Cpu]) };
    let plain = with("4.2.1", vec![part(oidn, Some("not offered")), part(optix, Some("not offered"))]);
    let able = with("5.0.1", vec![part(oidn, None), part(optix, Some("not offered"))]);
    let unknown = with("4.2.1", Vec::new());
    let look = |engine: &str, by_cycles: Option<&str>, by_compositor: Option<&str>| SceneLook {
        cycles: Some(CyclesFacts { device: "CPU".to_owned(), denoiser: by_cycles.map(str::to_owned) }),
        compositor_denoiser: by_compositor.map(str::to_owned),
        ..looks(&[("Shot", engine, if engine == "CYCLES" { "CPU" } else { "" })]).remove(0)
    };
    let lacks =
        |denoiser: &str| Err(Misfit::NoDenoiser { denoiser: denoiser.to_owned(), failure: "not offered".to_owned() });
    let fits = |facts: &BlenderFacts| Ok(facts.build.version.clone());
    let (by_oidn, by_optix) = (look("CYCLES", Some(oidn), None), look("CYCLES", Some(optix), None));
    let by_nodes = look("CYCLES", None, Some(oidn));
    let (foreign, foreign_by_nodes) = (look("ADDON", Some(oidn), None), look("ADDON", None, Some(oidn)));
    #[rustfmt::skip]
    let cases = [
        (json!({}), look("CYCLES", None, None), vec![&plain], fits(&plain)),
        (json!({}), by_oidn.clone(), vec![&plain], lacks(oidn)),
        (json!({}), by_oidn.clone(), vec![&plain, &able], fits(&able)),
        (json!({}), by_oidn.clone(), vec![&unknown], fits(&unknown)),
        (json!({}), by_optix, vec![&plain, &able], lacks(optix)),
        (json!({}), by_nodes.clone(), vec![&plain], lacks(oidn)),
        // Another engine has no use for it, unless the job sets Cycles; the compositor has in any case.
        (json!({}), foreign.clone(), vec![&plain], fits(&plain)),
        (json!({"engine": "CYCLES"}), foreign, vec![&plain], lacks(oidn)),
        (json!({}), foreign_by_nodes, vec![&plain], lacks(oidn)),
        // Whether one layer is denoised is seen by who opens it.
        (json!({"viewLayer": "Beauty"}), by_oidn.clone(), vec![&plain], fits(&plain)),
        (json!({"viewLayer": "Beauty"}), by_nodes, vec![&plain], lacks(oidn)),
    ];
    let abilities = Abilities::default();
    let fit = |needs: &Needs, blenders: &[BlenderFacts]| {
        let agent = barn(blenders, &abilities);
        (needs.fit(&agent).map(|fit| fit.blender.version), why_it_waits(needs, [agent]))
    };
    for (options, look, blenders, expected) in cases {
        let blenders: Vec<_> = blenders.into_iter().cloned().collect();
        let needs = Needs { looks: Some(vec![look]), saved_by: "4.2".parse().ok(), ..needs(options, json!({})) };
        assert_eq!(fit(&needs, &blenders).0, expected, "{needs:?} {blenders:?}");
    }
    let needs = Needs { looks: Some(vec![by_oidn]), ..needs(json!({}), json!({})) };
    let reason = "no agent has a Blender in which OpenImageDenoise works, by which the scene is denoised: not barn (not offered)";
    assert_eq!(fit(&needs, &[plain]).1, [reason]);
}
