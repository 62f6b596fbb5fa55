/** What the verbs end with. */
export const EXIT = {
  refused: 1,
  /** Wrong settings or arguments, or a door that could not be opened: nothing was started. */
  settings: 2,
  /** sysexits(3) EX_SOFTWARE */
  software: 70,
} as const
