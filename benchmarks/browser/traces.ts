/**
 * Types notebooks as a person does, through all of the completer with our engine, and counts what is evaluated of the
 * prompts. Node runs it: what is evaluated does not depend on where.
 */

import { Completer } from '../../labextension/src/local/completer';
import { CharacterModel } from '../../labextension/src/local/charactermodel';
import { Engine } from '../../labextension/src/local/engine/engine';
import { pauses } from '../../labextension/src/local/engine/pause';
import type { IFrame, IRequest } from '../../labextension/src/wire';

interface ICell {
  type: 'code' | 'markdown' | 'raw';
  source: string;
}

export interface INotebook {
  cells: ICell[];
}

/** How much was typed, and what the requests evaluated of their prompts. */
export interface ICounts {
  typed: number;
  requests: number;
  evaluated: number;
}

const TAKEN = 16;
const LINE = 24; // characters of a line that is worth typing again, at least

export class Typist {
  private readonly completer: Completer;
  private counts: ICounts = { typed: 0, requests: 0, evaluated: 0 };

  constructor(model: Uint8Array, module: WebAssembly.Module) {
    this.completer = new Completer(new CharacterModel('characters', Engine.load(model, module), pauses()));
  }

  /** The longest notebooks from their first character on, one cell after the other: the window slides. */
  async append(notebooks: readonly INotebook[], most: number): Promise<ICounts> {
    const size = ({ cells }: INotebook): number => cells.reduce((sum, { source }) => sum + source.length, 0);
    for (const { cells } of [...notebooks].sort((one, other) => size(other) - size(one))) {
      for (const [active, { type, source }] of cells.entries()) {
        if (type === 'code') {
          await this.type([...cells.slice(0, active), { type, source: '' }], active, '', source, '', most);
        }
      }
    }
    return this.told();
  }

  /** Each of some lines of finished cells is deleted and typed again. */
  async edit(notebooks: readonly INotebook[], most: number): Promise<ICounts> {
    for (const { cells } of notebooks) {
      for (const [active, { type, source }] of cells.entries()) {
        const lines = source.split('\n');
        const at = lines.findIndex((line, index) => index > 0 && line.length >= LINE);
        if (type === 'code' && at > 0 && at + 1 < lines.length) {
          const [before, behind] = [lines.slice(0, at), lines.slice(at + 1)].map(part => part.join('\n'));
          await this.type(cells, active, `${before}\n`, lines[at], `\n${behind}`, most);
        }
      }
    }
    return this.told();
  }

  /** What is evaluated once a suggestion of 16 characters was taken. */
  async take(notebooks: readonly INotebook[], most: number): Promise<ICounts> {
    for (const { cells } of notebooks) {
      for (const [active, { type, source }] of cells.entries()) {
        const typed = source.slice(0, source.length >> 1);
        if (type !== 'code' || this.counts.requests >= most || !typed) {
          continue;
        }
        const until = [...cells.slice(0, active), { type, source: typed }];
        const { text } = await this.ask(requestOf(until, active, typed.length, 'invoke'));
        if (text.length >= TAKEN) {
          const source = typed + text.slice(0, TAKEN);
          until[active] = { type, source };
          this.count(await this.ask(requestOf(until, active, source.length, 'automatic')));
          this.counts.typed++;
        }
      }
    }
    return this.told();
  }

  /** Type a text; a key that agrees with what is shown asks nothing. */
  private async type(
    cells: ICell[],
    active: number,
    before: string,
    text: string,
    behind: string,
    most: number
  ): Promise<void> {
    let shown = '';
    for (let at = 1; at <= text.length && this.counts.typed < most; at++, this.counts.typed++) {
      if (shown.startsWith(text[at - 1]) && shown.length > 1) {
        shown = shown.slice(1);
        continue;
      }
      const typed = before + text.slice(0, at);
      const changed = cells.with(active, { ...cells[active], source: typed + behind });
      const last = await this.ask(requestOf(changed, active, Array.from(typed).length, 'automatic'));
      if (at > 1) {
        this.count(last); // the first key of a cell finds it read: it is read once it has the focus
      }
      shown = last.text;
    }
  }

  private async ask(request: IRequest): Promise<IFrame> {
    let last: IFrame | undefined;
    await this.completer.complete(request, {}, new AbortController().signal, frame => (last = frame));
    return last as IFrame;
  }

  private count({ timings }: IFrame): void {
    this.counts.requests++;
    this.counts.evaluated += (timings?.prompt_tokens ?? 0) - (timings?.cached_tokens ?? 0);
  }

  private told(): ICounts {
    const { counts } = this;
    this.counts = { typed: 0, requests: 0, evaluated: 0 };
    return counts;
  }
}

function requestOf(cells: ICell[], active: number, offset: number, trigger: IRequest['trigger']): IRequest {
  return {
    path: 'typed.ipynb',
    language: 'python',
    cells: cells.map(({ type, source }, id) => ({ id: `${id}`, type, source })),
    active,
    offset,
    extra: [],
    trigger,
    lines: 'auto',
    stream: true,
    client: 'tab',
    n: 1,
    temperature: 0
  };
}
