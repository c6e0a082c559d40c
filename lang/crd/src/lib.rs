//! CustomResourceDefinitions as types: structural schemas and their CEL rules, from YAML.
