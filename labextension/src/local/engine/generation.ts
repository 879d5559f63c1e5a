/** One text being written: a token at a time, and other work of the thread between them. */

import type { Engine } from './engine';
import { choose, likeliest, logSoftmax, random } from './sampling';
import type { Chance, ISampling } from './sampling';
import type { Vocabulary } from './vocabulary';
import { waysBehind, type Ways } from '../ways';

export interface IAsk extends ISampling {
  prompt: readonly number[];
  /** How many tokens are written at most; none: the prompt is read. */
  most: number;
  /** A token that the text may not begin with. */
  banned?: number;
  /** The text begins with one of these; none: with what it likes. A word among them is not made longer. */
  ways?: Ways;
  /** What the text may turn out to be: it is verified in batches, and changes nothing but the time. */
  hint?: readonly number[];
  /** How many of the likeliest tokens are told at each place. */
  top?: number;
  /** Is filled in as the text is written: whoever has enough of it learns what it cost, too. */
  usage?: IUsage;
}

export interface IToken {
  id: number;
  text: string;
  probability: number;
  /** The likeliest tokens here. */
  top: Chance[];
}

/** What it cost. */
export interface IUsage {
  prompt: number;
  /** How many tokens of the prompt had not to be evaluated. */
  cached: number;
  written: number;
  evaluated: number;
  /** Tokens of the hint that were verified, and those that were right. */
  drafted: number;
  accepted: number;
  finish: 'end' | 'length' | 'aborted';
}

export function newUsage(): IUsage {
  return { prompt: 0, cached: 0, written: 0, evaluated: 0, drafted: 0, accepted: 0, finish: 'length' };
}

/** Guess at most so many tokens at once: a wrong guess costs what reading them costs. */
const DRAFT = 7;

/**
 * Write a text; one that is asked for meanwhile waits until it has ended. Between batches it awaits `pause`, so
 * that the thread's messages are seen: whoever asked for it aborts within a token, or a batch of its prompt.
 */
export async function* write(
  engine: Engine,
  ask: IAsk,
  pause: () => Promise<void>,
  signal: AbortSignal
): AsyncGenerator<IToken, IUsage, void> {
  const end = await engine.turn();
  try {
    return yield* writeAlone(engine, ask, pause, signal);
  } finally {
    end();
  }
}

async function* writeAlone(
  engine: Engine,
  ask: IAsk,
  pause: () => Promise<void>,
  signal: AbortSignal
): AsyncGenerator<IToken, IUsage, void> {
  const { vocabulary } = engine;
  const { hint = [] } = ask;
  const text = [...ask.prompt];
  const most = Math.min(ask.most, engine.length - text.length);
  const draw = random(ask.seed ?? 0);
  const usage = ask.usage ?? newUsage();
  usage.prompt = text.length;
  let hinted = true; // whether the hint was right so far
  let finish: IUsage['finish'] | null = null;

  /** Choose what follows the text, and the guess as far as it was right. */
  const follow = (guess: readonly number[]): IToken[] => {
    const tokens: IToken[] = [];
    usage.drafted += engine.guessed;
    for (let at = 0; at <= engine.guessed && !finish; at++) {
      const banned = text.length === ask.prompt.length ? ask.banned : undefined;
      const row = logSoftmax(engine.logits(at), banned, mayFollow(vocabulary, ask, text));
      const [id, logarithm] = choose(row, vocabulary, ask, draw);
      if (vocabulary.ends.has(id)) {
        finish = 'end';
        break;
      }
      text.push(id);
      const likely = likeliest(row, ask.top ?? 0);
      tokens.push({ id, text: vocabulary.decode([id]), probability: Math.exp(logarithm), top: likely });
      finish = ++usage.written < most ? null : 'length';
      hinted &&= hint[usage.written - 1] === id;
      if (id !== guess[at]) {
        break;
      }
      usage.accepted += Number(at < engine.guessed);
    }
    return tokens;
  };

  if (signal.aborted) {
    finish = 'aborted';
  }
  while (!finish) {
    const room = Math.min(DRAFT, most - usage.written - 1);
    const guess = hinted && room > 0 ? hint.slice(usage.written, usage.written + room) : [];
    const before = engine.evaluated;
    const left = engine.read(text, guess);
    usage.evaluated += engine.evaluated - before;
    if (!usage.written) {
      usage.cached = Math.max(0, text.length - left - usage.evaluated + engine.guessed);
    }
    if (!left && most <= 0) {
      finish = 'length';
    }
    const tokens = left || finish ? [] : follow(guess);
    await pause();
    for (const token of tokens) {
      if (signal.aborted) {
        break;
      }
      yield token;
    }
    if (signal.aborted) {
      finish = 'aborted';
    }
  }
  usage.finish = finish;
  return usage;
}

/** The tokens of which one has to follow, where a text is held to words: one of them, and the end of it. null: any. */
function mayFollow(vocabulary: Vocabulary, ask: IAsk, text: readonly number[]): ReadonlySet<number> | null {
  const ways = ask.ways?.length ? waysBehind(ask.ways, text.slice(ask.prompt.length)) : [];
  const isComplete = ways.some(way => way.length === 0);
  if (ways.length === 0 || (isComplete && vocabulary.outside.has(text.at(-1) ?? -1))) {
    return null;
  }
  return new Set([...ways.flatMap(way => way.slice(0, 1)), ...(isComplete ? vocabulary.outside : [])]);
}
