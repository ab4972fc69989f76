// Columns that are named after something of the experiment's.

/** Before the name of a parameter. */
export const PARAMETER = "x:";
/** Before the name of a further metric. */
export const METRIC = "y:";
