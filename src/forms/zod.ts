/** The one home of zod: every room describes its own settings with it, and none imports the package. */
export { z } from 'zod'
