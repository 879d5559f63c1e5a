/**
 * The functions that exist in Python and TypeScript, by their Python names. Arguments and results are JSON; positions in
 * a text are in code points.
 */

import { cellLanguage, cellMagic, commentMark, isPrivatePath } from '../../language';
import { firstWord } from '../../suggestion';
import type { IRequest } from '../../wire';
import { branches } from '../answer';
import { balancedLength, closersAfter, openQuote, outside } from '../brackets';
import { type IBudget, piecesLeftOut, promptOf } from '../layout';
import { endOfLine, lex } from '../lexer';
import {
  gather,
  type IContext,
  looksSecret,
  withoutCellMagic,
  withoutCommands,
  withoutSecrets
} from '../notebook';
import { indentation, surroundingsOf } from '../surroundings';
import { codePoints, endOf } from '../text';
import { trim } from '../trim';
import { TrimmedText } from '../writing';
import { ScriptedEngine } from './engine';

type Lines = IRequest['lines'];
/** Count in code points what is counted in UTF-16 units. */
const pointsAt = (text: string, at: number) => codePoints(text.slice(0, at));

export const FUNCTIONS = {
  first_word: (text: string) => firstWord(text),

  end_of: endOf,
  cell_magic: cellMagic,
  without_cell_magic: withoutCellMagic,
  without_commands: withoutCommands,
  cell_language: cellLanguage,
  comment_mark: commentMark,
  is_private_path: isPrivatePath,
  looks_secret: looksSecret,
  without_secrets: withoutSecrets,
  gather,
  pieces: (request: IRequest) => gather(request).pieces,

  keep_tail: endOf,
  pieces_left_out: piecesLeftOut,
  layout: (context: IContext, contextSize: number, budget: IBudget, most: number | null) => {
    const { vocabulary } = new ScriptedEngine([], contextSize);
    return promptOf(vocabulary, contextSize, { ...budget, maxTokens: most ?? budget.maxTokens }, context);
  },

  open_quote: (line: string, quotes?: string) => openQuote(line, quotes),
  /** + for what is outside */
  outside: (text: string, quote = '') =>
    outside(text, quote)
      .filter((_, at) => !/[\udc00-\udfff]/.test(text[at]))
      .map(place => (place ? '+' : '-'))
      .join(''),
  balanced_length: (text: string, closed: string) => pointsAt(text, balancedLength(text, closed)),
  closers_after: closersAfter,
  lex: (source: string) =>
    lex(source).map(({ kind, text, start, unclosed }) => [kind, text, pointsAt(source, start), unclosed]),
  end_of_line: (before: string, text: string) => {
    const end = endOfLine(before, text);
    return end < 0 ? end : pointsAt(text, end);
  },

  indentation,
  surroundings_of: (prefix: string, suffix: string, lines: Lines = 'auto', maxLines = 8) => {
    const {
      multi,
      indent,
      rest,
      quote,
      line,
      maxLines: most,
      closed,
      indented
    } = surroundingsOf(prefix, suffix, lines, maxLines);
    return { multi, indent, rest, quote, line, max_lines: most, closed, indented };
  },
  /** An answer that is final. */
  trimmed: (text: string, prefix: string, suffix = '', lines: Lines = 'auto', maxLines = 8) =>
    trim(text, surroundingsOf(prefix, suffix, lines, maxLines), true).text,
  trim: (text: string, prefix: string, suffix: string, final = true, lines: Lines = 'auto', maxLines = 8) => {
    const cut = trim(text, surroundingsOf(prefix, suffix, lines, maxLines), final);
    return [cut.text, cut.done];
  },

  branches: (texts: string[], probabilities: number[], count: number) =>
    branches(
      texts.map((text, token) => ({ token, text, probability: probabilities[token] })),
      count
    ).map(({ kept, banned }) => [kept.length, banned]),
  /** The shown text of an answer, frame by frame. */
  frames: (texts: string[], prefix: string, suffix: string, unasked: boolean, whole: boolean) => {
    const around = surroundingsOf(prefix, suffix);
    const suggestion = new TrimmedText(around, () => true, unasked ? 0 : null);
    const seen = texts.map(text => {
      suggestion.take([{ token: 0, text, probability: 0.9 }]);
      return suggestion.shown;
    });
    suggestion.finish(whole);
    return [...new Set([...seen, suggestion.shown])].filter(text => text);
  }
};
