//! Quantities as whole numbers, by the object model's reading of them.

use ordain_orchestrator_api::Quantity;

/// Returns a quantity in thousandths, rounded up, or `None` when the text is not one.
pub fn milli(text: &str) -> Option<i128> {
    let quantity: Quantity = text.parse().ok()?;
    Some(i128::from(quantity.milli_value()))
}

/// Returns a quantity in whole units, rounded up.
pub fn units(text: &str) -> Option<i64> {
    let quantity: Quantity = text.parse().ok()?;
    Some(quantity.value())
}
