// All of Node.js that is used.
declare const process: { argv: string[]; exitCode?: number };
