/** The text around the cursor as trimming needs it. Pure. */

import type { IRequest } from '../wire';
import { closersAfter, openQuote } from './brackets';
import { isBlank, lastLine, WORD } from './text';

/** The limits of a suggestion, and the text that it must not repeat. */
export interface ISurroundings {
  /** whether it may have several lines */
  multi: boolean;
  /** a line that is indented less is not part of it */
  indent: number;
  /** what follows the cursor on its line */
  rest: string;
  /** the quote that is open at the cursor */
  quote: string;
  /** the line up to the cursor */
  line: string;
  maxLines: number;
  /** brackets right after the cursor, if they close all brackets that the line has opened */
  closed: string;
  /** lines that are not to be written again: the one above, and the imports before the user has begun to name a module */
  above: string[];
  /** whether the line up to the cursor is white space, and not empty */
  indented: boolean;
}

const IMPORT = /^(?:import|from \S+ import) /;
/** Brackets and marks alone may be repeated. */
const HAS_WORD = new RegExp(`[${WORD}]`, 'u');

/** The width of a line's leading white space. */
export function indentation(line: string): number {
  let width = 0;
  for (let at = 0; line[at] === ' ' || line[at] === '\t'; at++) {
    width += line[at] === '\t' ? 4 - (width % 4) : 1;
  }
  return width;
}

/**
 * The surroundings of the cursor.
 *
 * With `auto`, a suggestion has several lines on a blank line and after a colon, and one line elsewhere. `earlier` are
 * the cells above in the same language.
 */
export function surroundingsOf(
  prefix: string,
  suffix: string,
  lines: IRequest['lines'] = 'auto',
  maxLines = 8,
  earlier: readonly string[] = []
): ISurroundings {
  const line = lastLine(prefix);
  const before = prefix.slice(0, prefix.length - line.length);
  const [rest] = suffix.split('\n', 1);
  const blank = isBlank(line);
  const opensBlock = line.trimEnd().endsWith(':') && isBlank(rest);
  const multi = isBlank(rest) && (lines === 'multi' || (lines === 'auto' && (blank || opensBlock)));
  const above = lastLine(before.trimEnd());
  const imports = [...earlier, before].flatMap(code => code.split('\n').filter(other => IMPORT.test(other)));
  // Also after Enter in an editor that does not indent.
  const opened = blank && above.endsWith(':') && indentation(above) >= indentation(line);
  return {
    multi,
    indent: opened ? indentation(above) + 1 : indentation(line) + (opensBlock ? 1 : 0),
    rest,
    quote: openQuote(line),
    line,
    maxLines: lines === 'single' ? 1 : maxLines,
    closed: closersAfter(line, rest),
    above: [above, ...(/\S\s/.test(line) ? [] : imports)].filter(other => HAS_WORD.test(other)),
    indented: blank && line !== ''
  };
}
