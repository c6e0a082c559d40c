//! The number of threads changes nothing but the time.

mod common;

use common::Program;
use ordain_lang_eval::{Options, evaluate};

#[test]
fn apps_come_in_the_order_of_the_program() {
    let mut source = String::from(
        "let shared = [for n in 0..100 => \"{n}\"]\n\
         fn map(n: Int) -> k8s.ConfigMap = k8s.ConfigMap { metadata.name = \"m{n}\", data.all = shared.join(\",\") }\n",
    );
    for n in 0..60 {
        source.push_str(&format!(
            "app a{n} {{ objects = [map({n}), map({n} + 1000)] }}\n"
        ));
    }
    source.push_str("app twice { objects = [map(7)] }\n");
    let program = Program::new(&[("many.ord", &source)]);
    assert_eq!(program.checked(), "");
    let build = |threads| {
        let options = Options { env: None, threads };
        let built = evaluate(&program.program, options, |app| {
            let objects = app.objects.clone();
            let json: Vec<_> = objects.iter().map(|object| app.json(object)).collect();
            (app.name.to_owned(), json)
        });
        let codes: Vec<_> = built.diagnostics.iter().map(|d| d.code).collect();
        (built.apps, codes)
    };
    let one = build(1);
    assert_eq!(one.1, ["E0511"]);
    assert_eq!(one.0[59].0, "a59");
    for threads in [2, 8] {
        assert_eq!(build(threads), one);
    }
}
