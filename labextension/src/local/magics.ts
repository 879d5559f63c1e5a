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

/** A group that gives nothing back: a long line of blanks is read once, not once for each of them. */
function atomic(name: string, pattern: string): string {
  return `(?=(?<${name}>${pattern}))\\k<${name}>`;
}

/** What stands behind the name of a cell's magic: its arguments, then the cell's body. */
export function withoutCellMagic(source: string): string {
  return source.replace(CELL_MAGIC, '');
}

/** A cell without its line magics and shell commands. */
export function withoutCommands(source: string): string {
  return source.replace(COMMAND, '');
}

/** Put something that parses in the place of magics, shell commands and questions. */
export function asPython(source: string): string {
  return source.replace(WHOLE_LINE, '$<indent>pass').replace(ASSIGNED, '$1_');
}
