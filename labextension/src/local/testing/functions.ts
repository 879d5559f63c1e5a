/**
 * The functions that exist in Python and TypeScript, by their Python names. Arguments and results are JSON; positions in
 * a text are in code points.
 */

import { parser } from '@lezer/python';
import { cellLanguage, cellMagic, commentMark, isPrivatePath } from '../../language';
import { firstWord } from '../../suggestion';
import type { IFrame, IRequest } from '../../wire';
import { branches, DEFAULTS, type ISettings } from '../answer';
import { endOf } from '../bounds';
import { balancedLength, closersAfter, closingLength, openQuote, outside } from '../brackets';
import { keepTail, Layout, piecesLeftOut, readHead } from '../layout';
import { Completer } from '../completer';
import { CursorFeatures, cursorFeatures, type Features, features } from '../features';
import { fitFor, Gate, mayEnd } from '../gate';
import { byBrackets, byGrammar, fitting } from '../grammar';
import { joining, joiningPart } from '../joining';
import { endOfLine, lex, scan } from '../lexer';
import { asPython, withoutCellMagic, withoutCommands } from '../magics';
import { Matcher } from '../matching';
import { bindings, type IKernelContext, namesAt, scopeOf } from '../names';
import { gather, type IContext, looksSecret, outline, withoutSecrets } from '../notebook';
import { chosen, scores } from '../ranking';
import { firstLine, indentation, surroundingsOf } from '../surroundings';
import { beginsWithWord, codePoints, compare, LETTER, linesOf, strip } from '../text';
import { score } from '../trees';
import { trim } from '../trim';
import { rounded, TrimmedText } from '../writing';
import { codePointsOf, ScriptedEngine } from './engine';

type Lines = IRequest['lines'];
type Written = [text: string, probability: number][];
const byLezer = byGrammar(() => parser);
const byDefault = (values: Features) => score(values, fitFor('').trees);
/** The product of the probabilities, so that the rest can be looked at by itself. */
const byProduct = ({ sum }: Features) => Math.exp(sum);

/** Count in code points what is counted in UTF-16 units. */
const pointsAt = (text: string, at: number) => codePoints(text.slice(0, at));

function gateAfter(written: Written, threshold: number, ended: boolean): Gate {
  const gate = new Gate(new CursorFeatures(), threshold, () => true, byProduct);
  written.forEach(([piece, probability]) => gate.add(piece, probability));
  if (ended) {
    gate.end();
  }
  return gate;
}

export const FUNCTIONS = {
  strip: (text: string) => strip(text),
  splitlines: (text: string) => linesOf(text),
  sorted: (texts: string[]) => [...texts].sort(compare),
  rounded: (value: number) => rounded(value),
  first_word: (text: string) => firstWord(text),
  /** The class of each character of a text. */
  characters: (text: string) => {
    const words = beginsWithWord;
    const letter = new RegExp(`[${LETTER}]`, 'u');
    return Array.from(
      text,
      each =>
        (strip(each) ? '' : 'space ') +
        (words(each) ? 'word ' : '') +
        (letter.test(each) ? 'letter ' : '') +
        (linesOf(`${each}a`).length > 1 ? 'line end ' : '')
    );
  },

  end_of: endOf,
  cell_magic: cellMagic,
  without_cell_magic: withoutCellMagic,
  without_commands: withoutCommands,
  as_python: asPython,
  cell_language: cellLanguage,
  comment_mark: commentMark,
  is_private_path: isPrivatePath,
  looks_secret: looksSecret,
  without_secrets: withoutSecrets,
  gather,
  pieces: (request: IRequest) => gather(request).pieces,
  outline: (pieces: string[]) => outline(pieces),
  scores: (snippets: string[], near: string) => scores(snippets, near),
  chosen: (snippets: string[], near: string, room: number) => chosen(snippets, near, room, codePoints),

  keep_tail: keepTail,
  read_head: (text: string, room: number) => readHead(codePointsOf, text, room),
  pieces_left_out: piecesLeftOut,
  layout: (context: IContext, contextSize: number, settings: ISettings, most: number | null) => {
    const { vocabulary } = new ScriptedEngine([], contextSize);
    return new Layout(vocabulary, contextSize, settings).prompt({ max_tokens: most }, context);
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
  closing_length: closingLength,
  lex: (source: string) =>
    lex(source).map(({ kind, text, start, unclosed }) => [kind, text, pointsAt(source, start), unclosed]),
  end_of_line: (before: string, text: string) => {
    const end = endOfLine(before, text);
    return end < 0 ? end : pointsAt(text, end);
  },
  scan: (text: string) => {
    const { quote, brackets, balanced, comment, start } = scan(text);
    return [quote, brackets, balanced, comment, pointsAt(text, start)];
  },
  matches: (wanted: string, pieces: string[]) => {
    const matcher = new Matcher(wanted);
    const ends = pieces.flatMap(piece => {
      const found = [];
      for (let end = matcher.find(piece); end >= 0; end = matcher.find(piece, end)) {
        found.push(pointsAt(piece, end));
      }
      return [found];
    });
    return [ends, matcher.beginnings().map(length => pointsAt(wanted, length))];
  },

  indentation,
  first_line: firstLine,
  surroundings_of: (prefix: string, suffix: string, lines: Lines = 'auto', maxLines = 8) => {
    const { nextLine, maxLines: most, ...around } = surroundingsOf(prefix, suffix, lines, maxLines);
    return { ...around, next_line: nextLine, max_lines: most };
  },
  /** An answer that is final. */
  trimmed: (text: string, prefix: string, suffix = '', lines: Lines = 'auto', maxLines = 8) =>
    trim(text, surroundingsOf(prefix, suffix, lines, maxLines), true).text,
  trim: (text: string, prefix: string, suffix: string, final = true, lines: Lines = 'auto', maxLines = 8) => {
    const cut = trim(text, surroundingsOf(prefix, suffix, lines, maxLines), final);
    return [cut.text, cut.done];
  },

  cursor_features: (prefix: string, suffix: string, pieces: string[], words: string[]) => {
    const { body, rest, quote, closed, words: known } = cursorFeatures(prefix, suffix, pieces);
    return [body, rest, quote, closed, words.map(word => known.has(word))];
  },
  features: (
    text: string,
    sure: number[],
    [prefix, suffix]: [string, string],
    whole: boolean,
    further: boolean
  ) => features(text, sure, cursorFeatures(prefix, suffix, []), { whole, further }),
  may_end: mayEnd,
  gate: (
    written: Written,
    [line, rest]: [string, string],
    threshold: number,
    ended: boolean,
    unfit: string
  ) => {
    const fits = (text: string) => !unfit || !text.includes(unfit);
    const gate = new Gate(new CursorFeatures(line, rest), threshold, fits, byDefault);
    let text = '';
    const look = () => {
      const [end, confidence] = gate.shown(text);
      return [pointsAt(text, end), confidence, gate.hopeless];
    };
    const seen = written.map(([piece, probability]) => {
      gate.add(piece, probability);
      text += piece;
      return look();
    });
    if (ended) {
      gate.end();
    }
    return [...seen, look()];
  },
  /** The reason of a gate to show nothing, with the product of the probabilities as score. */
  hidden_reason: (written: Written) => gateAfter(written, 0.5, true).hiddenReason,
  /** The text that such a gate shows. */
  shown: (written: Written, threshold = 0.5, ended = false) => {
    const gate = gateAfter(written, threshold, ended);
    const text = written.map(([piece]) => piece).join('');
    return text.slice(0, gate.shown(text)[0]);
  },
  suggestion: (
    written: Written,
    [prefix, suffix]: [string, string],
    threshold: number,
    unasked: boolean,
    whole: boolean
  ) => {
    const cursor = cursorFeatures(prefix, suffix, []);
    const joins = joining('', prefix, suffix, byBrackets);
    const gate = new Gate(cursor, threshold, joins, byDefault);
    const suggestion = new TrimmedText(surroundingsOf(prefix, suffix), gate, unasked, joins);
    const look = (grown: boolean) => [
      grown,
      suggestion.shown,
      suggestion.confidence,
      suggestion.ended,
      suggestion.gaveUp
    ];
    const seen = written.map(([text, probability]) =>
      look(!suggestion.done && suggestion.take([{ token: 0, text, probability }]))
    );
    suggestion.finish(whole);
    return [...seen, look(false)];
  },
  /** The shown text of an answer with probable tokens, frame by frame. */
  frames: (texts: string[], prefix: string, suffix: string, unasked: boolean, whole: boolean) => {
    const gate = new Gate(cursorFeatures(prefix, suffix, []), 0, () => true, byProduct);
    const suggestion = new TrimmedText(
      surroundingsOf(prefix, suffix),
      gate,
      unasked,
      () => true,
      () => 0
    );
    const seen = texts.map(text => {
      suggestion.take([{ token: 0, text, probability: 0.9 }]);
      return suggestion.shown;
    });
    suggestion.finish(whole);
    return [...new Set([...seen, suggestion.shown])].filter(text => text);
  },
  branches: (texts: string[], probabilities: number[], count: number) =>
    branches(
      texts.map((text, token) => ({ token, text, probability: probabilities[token] })),
      count
    ).map(({ kept, banned }) => [kept.length, banned]),
  fit_for: fitFor,

  bindings: (source: string) => [...bindings(source)].sort(compare),
  names_at: (request: IRequest, facts: IKernelContext) => namesAt(request, scopeOf(request, facts)),
  fits: (prefix: string, text: string) => fitting('', prefix, byBrackets)(text),
  joins: (prefix: string, suffix: string, text: string, language = '', texts: string[] = []) =>
    joining(language, prefix, suffix, byBrackets, texts)(text),
  /** The part of a text that the rest of the statement can follow. */
  joined: (prefix: string, suffix: string, text: string, language = '', texts: string[] = []) =>
    joiningPart(text, joining(language, prefix, suffix, byLezer, texts)),

  valid_beginning: (text: string) =>
    fitting('python', '', byLezer)(text) && byLezer('python', text).faults === 0,
  /** The texts that are valid after a prefix of Python. */
  fitting: (prefix: string, texts: string[]) => texts.map(fitting('python', prefix, byLezer)),

  /** Answer with a scripted engine: the frames, or all answers if several are requested. */
  answer: async (
    request: IRequest,
    message: Written[],
    contextSize: number,
    settings: Partial<ISettings>,
    facts: IKernelContext
  ) => {
    const engine = new ScriptedEngine(message, contextSize);
    const completer = new Completer(engine, { ...DEFAULTS, ...settings });
    const { signal } = new AbortController();
    const asked = () => engine.asks.map(({ prompt, sampling }) => ({ prompt, sampling }));
    if (request.n > 1) {
      const { items } = await completer.alternatives(request, { facts }, signal);
      return { items, asked: asked() };
    }
    const frames: Partial<IFrame>[] = [];
    await completer.complete(request, { facts }, signal, ({ text, confidence, done, finish_reason }) =>
      frames.push({ text, confidence, ...(done ? { done, finish_reason } : {}) })
    );
    return { frames, asked: asked() };
  }
};
