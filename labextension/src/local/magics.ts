/** IPython's own syntax in a cell: magics, shell commands, questions. Pure. */

import { END, SPACE, START, WORD } from './text';

const CELL_MAGIC = new RegExp(`^[${SPACE}]*%%([${WORD}]+)`, 'u');
const COMMAND = new RegExp(`${START}[ \\t]*(?:!|%[A-Za-z_])[^\\n]*`, 'g');
const QUESTION = `(?:[^\\n#'"=(?]*\\?)+[ \\t]*`;
const WHOLE_LINE = new RegExp(`${START}([ \\t]*)(?:[%!][^\\n]*|${QUESTION})${END}`, 'g');
const ASSIGNED = new RegExp(
  `${START}([ \\t]*(?:(?<= )|[${WORD},.[\\]])[${WORD}, .[\\]]*=[ \\t]*)[%!][^\\n]*`,
  'gu'
);

/** The name of the `%%magic` that a cell begins with; '' where there is none. */
export function cellMagic(source: string): string {
  return CELL_MAGIC.exec(source)?.[1] ?? '';
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
  return source.replace(WHOLE_LINE, '$1pass').replace(ASSIGNED, '$1_');
}
