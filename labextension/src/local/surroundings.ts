/** The text around the cursor as trimming needs it. Pure. */

import type { IRequest } from '../wire';
import { closersAfter, openQuote } from './brackets';
import { cutAt, isBlank, lastLine, stripEnd, stripStart } from './text';

/** The limits of a suggestion, and the text that it must not repeat. */
export interface ISurroundings {
  /** whether it may have several lines */
  multi: boolean;
  /** a line that is indented less is not part of it */
  indent: number;
  /** what follows the cursor on its line */
  rest: string;
  /** the next line that is not blank */
  nextLine: string;
  /** the quote that is open at the cursor */
  quote: string;
  /** the last line above that is not blank */
  above: string;
  /** the line up to the cursor */
  line: string;
  maxLines: number;
  /** brackets right after the cursor, if they close all brackets that the line has opened */
  closed: string;
  /** whether the line up to the cursor is white space, and not empty */
  indented: boolean;
  /** the imports of the code above, without indentation, one per line */
  imports: string;
}

const IMPORT = /^(?:import|from [^ ]+ import) /;

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
 * With `auto`, a suggestion has several lines on a blank line and after a colon, and one line elsewhere.
 * `earlier` are the sources of the cells above that are in the cell's language.
 */
export function surroundingsOf(
  prefix: string,
  suffix: string,
  lines: IRequest['lines'] = 'auto',
  maxLines = 8,
  earlier: readonly string[] = []
): ISurroundings {
  const line = lastLine(prefix);
  const [rest, , below] = cutAt(suffix, '\n');
  const blank = isBlank(line);
  const opensBlock = stripEnd(line).endsWith(':') && isBlank(rest);
  const multi = isBlank(rest) && (lines === 'multi' || (lines === 'auto' && (blank || opensBlock)));
  const above = lastLine(stripEnd(prefix.slice(0, prefix.length - line.length)));
  // Also after Enter in an editor that does not indent.
  const opened = blank && stripEnd(above).endsWith(':') && indentation(above) >= indentation(line);
  return {
    multi,
    indent: opened ? indentation(above) + 1 : indentation(line) + (opensBlock ? 1 : 0),
    rest,
    nextLine: firstLine(below),
    quote: openQuote(line),
    above,
    line,
    maxLines: lines === 'single' ? 1 : maxLines,
    closed: closersAfter(line, rest),
    indented: blank && line !== '',
    imports: [...earlier, prefix.slice(0, prefix.length - line.length)]
      .flatMap(code => code.split('\n').filter(other => IMPORT.test(other)))
      .join('\n')
  };
}

/** The first line that is not blank. */
export function firstLine(text: string): string {
  const blank = text.length - stripStart(text).length;
  const start = text.slice(0, blank).lastIndexOf('\n') + 1;
  return isBlank(text) ? '' : cutAt(text.slice(start), '\n')[0];
}
