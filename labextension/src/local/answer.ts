/** Generate the suggestions for a request as the server does: prompt, generation, trimming, alternatives, ranking. */

import { cellLanguage } from '../language';
import type { IFrame, IRequest, ISuggestion } from '../wire';
import { CHARACTERS, type IBudget, type Layout } from './layout';
import { type IEngineRequest, type IEngine, type ISampling, type IUsage, newUsage } from './engineinterface';
import { closingCheck } from './lexer';
import { gather, prefixOf, suffixOf } from './notebook';
import { type ISurroundings, surroundingsOf } from './surroundings';
import { stripStart } from './text';
import { type IPiece, TrimmedText } from './writing';

type Eagerness = NonNullable<IRequest['eagerness']>;

/** The lowest probability of an automatic suggestion (research/benchmarks/results/browser.md). */
const THRESHOLDS: Readonly<Record<Eagerness, number>> = {
  always: 0,
  eager: 0.4,
  balanced: 0.55,
  quiet: 0.675
};

export interface ISettings extends IBudget {
  maxLines: number;
  eagerness: Eagerness;
}

export const DEFAULTS: ISettings = {
  promptTokens: 1024,
  suffixTokens: 96,
  maxTokens: 48,
  maxLines: 8,
  eagerness: 'balanced'
};

/** The progress of the first suggestion. */
export interface IProgress {
  text: string;
  tokens: number;
  usage: IUsage;
  promptTokens: number;
  /** why it is not shown */
  hiddenReason?: IFrame['hidden_reason'];
}

/** A generation and the tokens that precede it. */
interface IOpening {
  ask: IEngineRequest;
  written: IPiece[];
}

export function newProgress(): IProgress {
  return { text: '', tokens: 0, usage: newUsage(), promptTokens: 0 };
}

/** Generates the suggestions for one request. */
export class Composer {
  constructor(
    private readonly _request: IRequest,
    private readonly _engine: IEngine,
    private readonly _layout: Layout,
    private readonly _settings: ISettings
  ) {}

  /** Yield the first suggestion whenever it grows; return all of them, the best first. */
  async *write(
    draft: string,
    progress: IProgress,
    signal: AbortSignal
  ): AsyncGenerator<ISuggestion, ISuggestion[]> {
    const { n } = this._request;
    const items: ISuggestion[] = [];
    const ask = this._ask(draft, progress);
    const first = yield* this._text({ ask, written: [] }, items, progress, signal);
    for (const opening of n > 1 ? this._further(ask, first) : []) {
      const unseen = this._text(opening, items, progress, signal);
      while (!(await unseen.next()).done) {
        // Only the first suggestion is streamed.
      }
    }
    return items.sort((one, other) => other.confidence - one.confidence);
  }

  private _ask(draft: string, progress: IProgress): IEngineRequest {
    const { vocabulary } = this._engine;
    const { trigger, max_tokens: most } = this._request;
    const prompt = this._layout.prompt(this._request, this._context);
    // An explicit request for several lines may be longer.
    const length = most ?? this._settings.maxTokens * (trigger === 'invoke' && this._around.multi ? 4 : 1);
    progress.promptTokens = prompt.length;
    const sampling: ISampling = {
      maxTokens: trigger === 'warmup' ? 0 : length * CHARACTERS,
      banned: null
    };
    return { prompt, draft: vocabulary.tokenize(draft), sampling, usage: progress.usage };
  }

  /** Branch the alternatives off the least certain tokens of the first suggestion. */
  private _further({ prompt, sampling }: IEngineRequest, pieces: readonly IPiece[]): IOpening[] {
    return branches(pieces, this._request.n - 1).map(({ kept, banned }) => {
      const written = kept.map(({ token }) => token);
      const maxTokens = Math.max(1, sampling.maxTokens - kept.length);
      const ask = {
        prompt: [...prompt, ...written],
        draft: [],
        sampling: { maxTokens, banned },
        usage: newUsage()
      };
      return { ask, written: kept };
    });
  }

  /** Generate one text, and keep it unless it is a duplicate. */
  private async *_text(
    { ask, written }: IOpening,
    items: ISuggestion[],
    progress: IProgress,
    signal: AbortSignal
  ): AsyncGenerator<ISuggestion, IPiece[]> {
    const suggestion = this._suggestion();
    const isFirst = ask.usage === progress.usage;
    if (written.length > 0) {
      suggestion.resume(written);
    }
    const room = Math.max(0, this._engine.contextSize - ask.prompt.length);
    const maxTokens = Math.min(ask.sampling.maxTokens, room);
    const within = { ...ask, sampling: { ...ask.sampling, maxTokens } };
    let sent = 0;
    if (!suggestion.done) {
      for await (const { token, probability } of this._engine.generate(within, signal)) {
        sent++;
        progress.tokens++;
        const text = this._engine.vocabulary.text(token);
        progress.text += isFirst ? text : '';
        if (suggestion.take([{ token, text, probability }])) {
          yield itemOf(suggestion, 'streaming');
        }
        if (suggestion.done) {
          break;
        }
      }
    }
    const whole = suggestion.done || sent < maxTokens;
    suggestion.finish(whole);
    progress.hiddenReason = isFirst ? suggestion.hiddenReason : progress.hiddenReason;
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
    const threshold = isAutomatic ? THRESHOLDS[eagerness ?? this._settings.eagerness] : null;
    return new TrimmedText(this._around, this._closes, threshold);
  }

  /** Whether the brackets and quotes of the line close with a text. */
  private get _closes(): (text: string) => boolean {
    const { cells, active, language } = this._request;
    const { source, type } = cells[active];
    const isPython = type === 'code' && cellLanguage(source, language) === 'python';
    return (this._closing ??= closingCheck(prefixOf(this._request), this._around.rest, isPython));
  }

  private get _around() {
    const { lines, max_lines: maxLines, cells, active, language } = this._request;
    const own = cells[active];
    const here = cellLanguage(own.source, language);
    return (this._surroundings ??= surroundingsOf(
      prefixOf(this._request),
      suffixOf(this._request),
      lines,
      maxLines ?? this._settings.maxLines,
      cells
        .slice(0, active)
        .filter(({ type, source }) => type === own.type && cellLanguage(source, language) === here)
        .map(({ source }) => source)
    ));
  }

  private get _context() {
    return (this._gathered ??= gather(this._request));
  }

  private _gathered: ReturnType<typeof gather> | undefined;
  private _closing: ((text: string) => boolean) | undefined;
  private _surroundings: ISurroundings | undefined;
}

function itemOf(suggestion: TrimmedText, reason: string): ISuggestion {
  return {
    text: suggestion.shown,
    confidence: Number(suggestion.confidence.toFixed(4)),
    finish_reason: reason
  };
}

const SURE = 0.9; // no alternatives to tokens with at least this probability
const BLANK = ' \t\n\r\v\f';

/**
 * Return the branches at the least certain tokens of the first line: the kept beginning, and the token that must not
 * follow it.
 */
export function branches(pieces: readonly IPiece[], count: number): { kept: IPiece[]; banned: number }[] {
  const holds = pieces.map(({ text }) => stripStart(text, BLANK) !== '');
  const begun = holds.indexOf(true);
  const end = pieces.findIndex(({ text }, at) => at > begun && begun >= 0 && text.includes('\n'));
  const line = end < 0 ? pieces : pieces.slice(0, end);
  return [...line.keys()]
    .filter(at => line[at].probability < SURE && holds[at])
    .sort((one, other) => line[one].probability - line[other].probability)
    .slice(0, count)
    .map(at => ({ kept: line.slice(0, at), banned: line[at].token }));
}
