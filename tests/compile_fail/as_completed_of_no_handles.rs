//! Only handles, references to them and pairs with them can be waited for.

use as_completed::as_completed;

fn main() {
    for number in as_completed([1, 2, 3]) { //~ E0277
        drop(number);
    }
}
