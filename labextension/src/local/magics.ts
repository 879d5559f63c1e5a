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

/** An atomic group, which does not backtrack, so that long runs of blanks are scanned only once. */
function atomic(name: string, pattern: string): string {
  return `(?=(?<${name}>${pattern}))\\k<${name}>`;
}

/** Return the text after the name of a cell magic: its arguments and the cell's body. */
export function withoutCellMagic(source: string): string {
  return source.replace(CELL_MAGIC, '');
}

/** Return a cell without its line magics and shell commands. */
export function withoutCommands(source: string): string {
  return source.replace(COMMAND, '');
}

/** Replace magics, shell commands and questions by valid Python. */
export function asPython(source: string): string {
  return source.replace(WHOLE_LINE, '$<indent>pass').replace(ASSIGNED, '$1_');
}
