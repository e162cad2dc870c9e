/** Version of the program: what services tell each other, and what `--version` shows. The same as in package.json. */
export const VERSION = '0.1.0';
