#[test]
fn loads() {
    println!("probe: {:?}", sys::bpf::probe());
    let mut programs = sys::bpf::Programs::load().unwrap();
    println!("reads {}", programs.judges_scripts());
    programs.attach().unwrap();
    println!("algorithm: {:?}", programs.algorithm());
    println!("counts: {:?}", programs.counts());
}
