//! Downloads: the ordinary ones, and those from servers that throttle, drop,
//! lie and stall.
