//! Rules over the whole set of objects a build makes: references that resolve, selectors that match.
