//! One check, a test for every pair of sides that it is for.

/// Makes a module of tests named after the generic function `check::<P, C>()`, one for each pair.
#[macro_export]
macro_rules! pairs {
    ($check:ident: $($name:ident = $p:ident, $c:ident;)*) => {
        mod $check {
            $(
                #[test]
                fn $name() {
                    super::$check::<linecard_ring::$p, linecard_ring::$c>();
                }
            )*
        }
    };
}

/// Tests for all sixteen pairs.
#[macro_export]
macro_rules! every_pair {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            single_single = Single, Single; single_multi = Single, Multi;
            single_rts = Single, Rts; single_hts = Single, Hts;
            multi_single = Multi, Single; multi_multi = Multi, Multi;
            multi_rts = Multi, Rts; multi_hts = Multi, Hts;
            rts_single = Rts, Single; rts_multi = Rts, Multi;
            rts_rts = Rts, Rts; rts_hts = Rts, Hts;
            hts_single = Hts, Single; hts_multi = Hts, Multi;
            hts_rts = Hts, Rts; hts_hts = Hts, Hts;
        }
    )*};
}

/// Tests for the twelve pairs with many producers.
#[macro_export]
macro_rules! concurrent_producers {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            multi_single = Multi, Single; multi_multi = Multi, Multi;
            multi_rts = Multi, Rts; multi_hts = Multi, Hts;
            rts_single = Rts, Single; rts_multi = Rts, Multi;
            rts_rts = Rts, Rts; rts_hts = Rts, Hts;
            hts_single = Hts, Single; hts_multi = Hts, Multi;
            hts_rts = Hts, Rts; hts_hts = Hts, Hts;
        }
    )*};
}

/// Tests for the twelve pairs with many consumers.
#[macro_export]
macro_rules! concurrent_consumers {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            single_multi = Single, Multi; single_rts = Single, Rts; single_hts = Single, Hts;
            multi_multi = Multi, Multi; multi_rts = Multi, Rts; multi_hts = Multi, Hts;
            rts_multi = Rts, Multi; rts_rts = Rts, Rts; rts_hts = Rts, Hts;
            hts_multi = Hts, Multi; hts_rts = Hts, Rts; hts_hts = Hts, Hts;
        }
    )*};
}

/// Tests for the nine pairs with many of both.
#[macro_export]
macro_rules! concurrent_pairs {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            multi_multi = Multi, Multi; multi_rts = Multi, Rts; multi_hts = Multi, Hts;
            rts_multi = Rts, Multi; rts_rts = Rts, Rts; rts_hts = Rts, Hts;
            hts_multi = Hts, Multi; hts_rts = Hts, Rts; hts_hts = Hts, Hts;
        }
    )*};
}

/// Tests for the eight pairs whose producers may write in place and give back.
#[macro_export]
macro_rules! exclusive_producers {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            single_single = Single, Single; single_multi = Single, Multi;
            single_rts = Single, Rts; single_hts = Single, Hts;
            hts_single = Hts, Single; hts_multi = Hts, Multi;
            hts_rts = Hts, Rts; hts_hts = Hts, Hts;
        }
    )*};
}

/// Tests for the eight pairs whose consumers may look and give back.
#[macro_export]
macro_rules! exclusive_consumers {
    ($($check:ident)*) => {$(
        $crate::pairs! { $check:
            single_single = Single, Single; single_hts = Single, Hts;
            multi_single = Multi, Single; multi_hts = Multi, Hts;
            rts_single = Rts, Single; rts_hts = Rts, Hts;
            hts_single = Hts, Single; hts_hts = Hts, Hts;
        }
    )*};
}
