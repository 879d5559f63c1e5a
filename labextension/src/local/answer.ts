/** Generate the suggestions for a request as the server does: prompt, generation, trimming, alternatives, ranking. */

import { cellLanguage } from '../language';
import type { IFrame, IRequest, ISuggestion } from '../wire';
import type { IEngineRequest, IEngine, IToken } from './engineinterface';
import { CHARACTERS, promptOf } from './layout';
import { closingCheck } from './lexer';
import { gather, prefixOf, suffixOf } from './notebook';
import { type ISurroundings, surroundingsOf } from './surroundings';
import { isBlank } from './text';
import { type IPiece, TrimmedText } from './writing';

type Eagerness = NonNullable<IRequest['eagerness']>;

/** The lowest probability of an automatic suggestion (research/benchmarks/results/browser.md). */
const THRESHOLDS: Readonly<Record<Eagerness, number>> = {
  always: 0,
  eager: 0.4,
  balanced: 0.55,
  quiet: 0.675
};

const BUDGET = { promptTokens: 1024, suffixTokens: 96, maxTokens: 48 };
const MAX_LINES = 8;

/** The progress of a suggestion. */
export interface IProgress {
  text: string;
  /** why it is not shown */
  hiddenReason?: IFrame['hidden_reason'];
}

/** A generation and the tokens that precede it. */
interface IOpening {
  ask: IEngineRequest;
  written: IPiece[];
}

/** Generates the suggestions for one request. */
export class Composer {
  constructor(
    private readonly _request: IRequest,
    private readonly _engine: IEngine
  ) {
    const { lines, max_lines: maxLines, cells, active, language } = _request;
    const { source, type } = cells[active];
    const here = cellLanguage(source, language);
    const prefix = prefixOf(_request);
    const earlier = cells
      .slice(0, active)
      .filter(cell => cell.type === type && cellLanguage(cell.source, language) === here)
      .map(cell => cell.source);
    this._around = surroundingsOf(prefix, suffixOf(_request), lines, maxLines ?? MAX_LINES, earlier);
    this._closes = closingCheck(prefix, this._around.rest, type === 'code' && here === 'python');
  }

  /** Call `grown` with the first suggestion whenever it grows; return all of them, the best first. */
  async write(
    draft: string,
    progress: IProgress,
    signal: AbortSignal,
    grown: (item: ISuggestion) => void
  ): Promise<ISuggestion[]> {
    const { n } = this._request;
    const items: ISuggestion[] = [];
    const ask = this._ask(draft);
    const first = await this._text({ ask, written: [] }, items, progress, signal, grown);
    for (const opening of n > 1 ? this._further(ask, first) : []) {
      await this._text(opening, items, { text: '' }, signal);
    }
    return items.sort((one, other) => other.confidence - one.confidence);
  }

  private _ask(draft: string): IEngineRequest {
    const { vocabulary, contextSize } = this._engine;
    const { trigger, max_tokens: most } = this._request;
    const budget = { ...BUDGET, maxTokens: most ?? BUDGET.maxTokens };
    const prompt = promptOf(vocabulary, contextSize, budget, gather(this._request));
    // An explicit request for several lines may be longer.
    const isLong = most == null && trigger === 'invoke' && this._around.multi;
    const length = budget.maxTokens * (isLong ? 4 : 1);
    const maxTokens = trigger === 'warmup' ? 0 : length * CHARACTERS;
    return { prompt, draft: vocabulary.tokenize(draft), maxTokens, banned: null };
  }

  /** Branch the alternatives off the least certain tokens of the first suggestion. */
  private _further({ prompt, maxTokens }: IEngineRequest, pieces: readonly IPiece[]): IOpening[] {
    return branches(pieces, this._request.n - 1).map(({ kept, banned }) => ({
      ask: {
        prompt: [...prompt, ...kept.map(({ token }) => token)],
        draft: [],
        maxTokens: Math.max(1, maxTokens - kept.length),
        banned
      },
      written: kept
    }));
  }

  /** Generate one text, and keep it unless it is a duplicate. */
  private async _text(
    { ask, written }: IOpening,
    items: ISuggestion[],
    progress: IProgress,
    signal: AbortSignal,
    grown: (item: ISuggestion) => void = () => undefined
  ): Promise<IPiece[]> {
    const suggestion = this._suggestion();
    if (written.length > 0) {
      suggestion.resume(written);
    }
    const room = Math.max(0, this._engine.contextSize - ask.prompt.length);
    const maxTokens = Math.min(ask.maxTokens, room);
    let sent = 0;
    const take = ({ token, probability }: IToken): boolean => {
      sent++;
      const text = this._engine.vocabulary.text(token);
      progress.text += text;
      if (suggestion.take([{ token, text, probability }])) {
        grown(itemOf(suggestion, 'streaming'));
      }
      return !suggestion.done;
    };
    if (!suggestion.done) {
      await this._engine.generate({ ...ask, maxTokens }, take, signal);
    }
    const whole = suggestion.done || sent < maxTokens;
    suggestion.finish(whole);
    progress.hiddenReason = suggestion.hiddenReason;
    const item = itemOf(suggestion, whole ? 'stop' : 'length');
    // The user asked for the first text; alternatives that leave something open are useless.
    const isUseful = items.length === 0 || this._closes(item.text);
    if (item.text && isUseful && !items.some(({ text }) => text === item.text)) {
      items.push(item);
    }
    return suggestion.pieces;
  }

  private _suggestion(): TrimmedText {
    const { trigger, eagerness } = this._request;
    const isAutomatic = trigger === 'automatic' || trigger === 'prefetch';
    const threshold = isAutomatic ? THRESHOLDS[eagerness ?? 'balanced'] : null;
    return new TrimmedText(this._around, this._closes, threshold);
  }

  private readonly _around: ISurroundings;
  /** Return whether a text closes the brackets and quotes of the line. */
  private readonly _closes: (text: string) => boolean;
}

function itemOf(suggestion: TrimmedText, reason: string): ISuggestion {
  return {
    text: suggestion.shown,
    confidence: Number(suggestion.confidence.toFixed(4)),
    finish_reason: reason
  };
}

const SURE = 0.9; // no alternatives to tokens with at least this probability

/**
 * Return the branches at the least certain tokens of the first line: the kept beginning, and the token that must not
 * follow it.
 */
export function branches(pieces: readonly IPiece[], count: number): { kept: IPiece[]; banned: number }[] {
  const holds = pieces.map(({ text }) => !isBlank(text));
  const begun = holds.indexOf(true);
  const end = pieces.findIndex(({ text }, at) => at > begun && begun >= 0 && text.includes('\n'));
  const line = end < 0 ? pieces : pieces.slice(0, end);
  return [...line.keys()]
    .filter(at => line[at].probability < SURE && holds[at])
    .sort((one, other) => line[one].probability - line[other].probability)
    .slice(0, count)
    .map(at => ({ kept: line.slice(0, at), banned: line[at].token }));
}
