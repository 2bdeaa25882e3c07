//! The address under which the house is seen from outside, asked for only when the user names whom to ask.
