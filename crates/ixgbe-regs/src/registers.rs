//! The registers, by group of the datasheet's §8.2.3. For a register `NAME` the fields are in the
//! module `name`.

/// Declares registers, modules of their fields, and the group's list.
///
/// `NAME, module = access first [+ stride * count] [, first + stride * count] [also alias + stride * count] { FIELD msb:lsb }`
macro_rules! registers {
    (
        list $list:ident;
        section $section:literal;
        $(
            $(#[$doc:meta])*
            $name:ident, $module:ident = $access:ident
            $first:literal $(+ $stride:literal * $count:literal)?
            $(, $first2:literal + $stride2:literal * $count2:literal)?
            $(also $alias:literal + $alias_stride:literal * $alias_count:literal)?
            { $( $(#[$field_doc:meta])* $field:ident $msb:literal $(: $lsb:literal)? ),* $(,)? }
        )*
    ) => {
        $(
            $(#[$doc])*
            pub const $name: crate::Register = crate::Register {
                name: stringify!($name),
                spans: &[
                    registers!(@span $first $(, $stride, $count)?),
                    $( registers!(@span $first2, $stride2, $count2), )?
                ],
                alias: registers!(@alias $($alias, $alias_stride, $alias_count)?),
                access: crate::Access::$access,
                fields: &[ $( registers!(@field $field $msb $(, $lsb)?) ),* ],
                section: $section,
            };

            #[doc = concat!("Fields of [`", stringify!($name), "`].")]
            pub mod $module {
                $(
                    $(#[$field_doc])*
                    #[doc = concat!("`", stringify!($field), "`, bit ", stringify!($msb $(:$lsb)?), ".")]
                    pub const $field: crate::Field = registers!(@field $field $msb $(, $lsb)?);
                )*
            }
        )*
        /// All of this group.
        pub(crate) const $list: &[&crate::Register] = &[ $( &$name ),* ];
    };
    (@span $first:literal) => { crate::Span { first: $first, stride: 4, count: 1 } };
    (@span $first:literal, $stride:literal, $count:literal) => {
        crate::Span { first: $first, stride: $stride, count: $count }
    };
    (@alias) => { None };
    (@alias $first:literal, $stride:literal, $count:literal) => {
        Some(crate::Span { first: $first, stride: $stride, count: $count })
    };
    (@field $name:ident $msb:literal) => { registers!(@field $name $msb, $msb) };
    (@field $name:ident $msb:literal, $lsb:literal) => {
        crate::Field { name: stringify!($name), msb: $msb, lsb: $lsb }
    };
}

mod dcb;
mod filter;
mod flow_director;
mod general;
mod interrupt;
mod mac;
mod nonvolatile;
mod receive;
mod statistics;
mod time_sync;
mod transmit;
pub mod virtual_function;
mod virtualization;

pub use dcb::*;
pub use filter::*;
pub use flow_director::*;
pub use general::*;
pub use interrupt::*;
pub use mac::*;
pub use nonvolatile::*;
pub use receive::*;
pub use statistics::*;
pub use time_sync::*;
pub use transmit::*;
pub use virtualization::*;

/// The lists of all groups.
pub(crate) const GROUPS: &[&[&crate::Register]] = &[
    GENERAL_GROUP,
    NONVOLATILE_GROUP,
    INTERRUPT_GROUP,
    FILTER_GROUP,
    RECEIVE_GROUP,
    TRANSMIT_GROUP,
    DCB_GROUP,
    FLOW_DIRECTOR_GROUP,
    MAC_GROUP,
    STATISTICS_GROUP,
    TIME_SYNC_GROUP,
    VIRTUALIZATION_GROUP,
];
