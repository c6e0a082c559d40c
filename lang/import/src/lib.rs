//! YAML to typed source: objects as the language would write them, and copies factored into base and overlays.
