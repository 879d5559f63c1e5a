/** Measures the browser's engine and completer; `engine.mjs` runs it in Node.js. */

import { Completer } from '../../../labextension/src/local/completer';
import { Engine } from '../../../labextension/src/local/engine/engine';
import { write } from '../../../labextension/src/local/engine/generation';
import { characterModel, pauses } from '../../../labextension/src/local/models';
import type { IFrame, IRequest } from '../../../labextension/src/wire';

interface ICell {
  type: 'code' | 'markdown' | 'raw';
  source: string;
}

export interface INotebook {
  cells: ICell[];
}

const KEYS = 20; // successive keystrokes
const pause = pauses();
let salt = 0;

export const middle = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1];

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Milliseconds of an engine that always generates the requested number of characters. */
export class Timing {
  constructor(private readonly engine: Engine) {
    (engine.vocabulary.ends as Set<number>).clear();
  }

  private async generate(text: string, most: number, signal = new AbortController().signal): Promise<void> {
    const ask = { prompt: this.engine.vocabulary.encode(text), most };
    const writing = write(this.engine, ask, pause, signal);
    while (!(await writing.next()).done) {
      // Generate all characters.
    }
  }

  /** Return a text of this size that shares no prefix with earlier ones. */
  private fresh(text: string, size: number): string {
    salt++;
    return `${String.fromCharCode(97 + (salt % 26))}${salt} ${text}`.slice(0, size);
  }

  /** Per character of a prompt. */
  async evaluation(text: string, size: number): Promise<number> {
    const prompt = this.fresh(text, size);
    const whole = await milliseconds(() => this.generate(prompt, 1));
    return (whole - (await milliseconds(() => this.generate(prompt, 1)))) / (size - 1);
  }

  /** Per generated character, after a prompt of this size. */
  async generation(text: string, size: number, count = 64): Promise<number> {
    const prompt = this.fresh(text, size);
    await this.generate(prompt, 1);
    const few = await milliseconds(() => this.generate(prompt, 1));
    return ((await milliseconds(() => this.generate(prompt, count + 1))) - few) / count;
  }

  /** From a keystroke to the end of a suggestion of 16 characters, after a prompt of this size. */
  async keystroke(text: string, size: number): Promise<number> {
    const prompt = this.fresh(text, size + KEYS);
    await this.generate(prompt.slice(0, size), 16);
    const times: number[] = [];
    for (let key = 1; key <= KEYS; key++) {
      times.push(await milliseconds(() => this.generate(prompt.slice(0, size + key), 16)));
    }
    return middle(times);
  }

  /** From an abort to the end of the run, during prompt evaluation or generation. */
  async abort(text: string, after: number): Promise<number> {
    const controller = new AbortController();
    const running = this.generate(this.fresh(text, 1900), 100, controller.signal);
    await new Promise(resolve => setTimeout(resolve, after));
    controller.abort();
    return milliseconds(() => running);
  }
}

/** Type the longest notebooks; return the evaluated characters per typed one, including markers. */
export async function evaluatedPerKey(engine: Engine, notebooks: readonly INotebook[], most: number): Promise<number> {
  const completer = new Completer(characterModel('characters', engine, pause));
  const size = ({ cells }: INotebook): number => cells.reduce((sum, { source }) => sum + source.length, 0);
  let [typed, evaluated] = [0, 0];
  for (const { cells } of [...notebooks].sort((one, other) => size(other) - size(one))) {
    for (const [active, { type, source }] of cells.entries()) {
      let shown = '';
      for (let at = 1; type === 'code' && at <= source.length && typed < most; at++, typed++) {
        if (shown.startsWith(source[at - 1]) && shown.length > 1) {
          shown = shown.slice(1); // a keystroke that agrees with the ghost text sends no request
          continue;
        }
        const until = [...cells.slice(0, active), { type, source: source.slice(0, at) }];
        let last: IFrame | undefined;
        await completer.complete(requestOf(until), new AbortController().signal, frame => (last = frame));
        shown = last?.text ?? '';
        if (at > 1) {
          // Omit the first keystroke of a cell: the cell is evaluated when it gets the focus.
          evaluated += (last?.timings?.prompt_tokens ?? 0) - (last?.timings?.cached_tokens ?? 0);
        }
      }
    }
  }
  return evaluated / typed;
}

function requestOf(cells: ICell[]): IRequest {
  return {
    path: 'typed.ipynb',
    language: 'python',
    cells: cells.map(({ type, source }, id) => ({ id: `${id}`, type, source })),
    active: cells.length - 1,
    offset: Array.from(cells.at(-1)?.source ?? '').length,
    extra: [],
    trigger: 'automatic',
    lines: 'auto',
    stream: true,
    client: 'tab',
    n: 1,
    temperature: 0
  };
}

export { Engine };
