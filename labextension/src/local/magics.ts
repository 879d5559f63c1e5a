/** IPython's own syntax in a cell: magics, shell commands, questions. Pure. */

import { CELL_MAGIC } from '../language';
import { END, START, WORD } from './text';

const COMMAND = new RegExp(`${START}[ \\t]*(?:!|%[A-Za-z_])[^\\n]*`, 'g');
const QUESTION = `(?:[^\\n#'"=(?]*\\?)+[ \\t]*`;
const WHOLE_LINE = new RegExp(`${START}${atomic('indent', '[ \\t]*')}(?:[%!][^\\n]*|${QUESTION})${END}`, 'g');
const ASSIGNED = new RegExp(
  `${START}(${atomic('indent', '[ \\t]*')}(?:(?<= )|[${WORD},.[\\]])${atomic('names', `[${WORD}, .[\\]]*`)}=[ \\t]*)` +
    `[%!][^\\n]*`,
  'gu'
);

/** An atomic group: it prevents quadratic time on long runs of blanks. */
function atomic(name: string, pattern: string): string {
  return `(?=(?<${name}>${pattern}))\\k<${name}>`;
}

/** What follows the name of a cell magic: its arguments, then the body. */
export function withoutCellMagic(source: string): string {
  return source.replace(CELL_MAGIC, '');
}

/** Return a cell without its line magics and shell commands. */
export function withoutCommands(source: string): string {
  return source.replace(COMMAND, '');
}

/** Replace magics, shell commands and questions with text that parses. */
export function asPython(source: string): string {
  return source.replace(WHOLE_LINE, '$<indent>pass').replace(ASSIGNED, '$1_');
}
