/** What the server may do before anybody asks: read a cell that got the focus, write on after what is shown. */

import { Text } from '@jupyterlab/coreutils';
import type { ICompletionClient } from './client';
import { importsFor, insertInto } from './imports';
import type { Suggestion } from './suggestion';
import type { IRequest } from './wire';
import { codePoints } from './window';

/** Long enough that a cell which is only passed through is not read. */
const SETTLE = 120;

/** The request as it will be once the person has taken `text` with the imports that it `needs`. Pure. */
export function afterAccepting(body: IRequest, text: string, needs: readonly string[] = []): IRequest {
  const cells = [...body.cells];
  const { source } = cells[body.active];
  const at = Text.charIndexToJsIndex(body.offset, source);
  const taken = source.slice(0, at) + text + source.slice(at);
  const above = importsFor({ text: source, offset: at }, text, needs);
  cells[body.active] = { ...cells[body.active], source: above ? insertInto(taken, above) : taken };
  return {
    ...body,
    cells,
    offset: body.offset + codePoints(text) + codePoints(above?.text ?? ''),
    trigger: 'ahead',
    stream: false
  };
}

export class Ahead {
  constructor(private readonly _client: ICompletionClient) {}

  /** Let the server read a document around a cursor. */
  warm(body: () => IRequest | null): void {
    this.yield();
    this._timer = setTimeout(() => {
      const request = body();
      if (request) {
        this._send({ ...request, trigger: 'warm', stream: false });
      }
    }, SETTLE);
  }

  /** Let the server write what follows a suggestion, as if it had been taken. */
  follow(body: IRequest, { text, needs }: Pick<Suggestion, 'text' | 'needs'>): void {
    this.yield();
    this._send(afterAccepting(body, text, needs));
  }

  /** Somebody asks for something: the server goes on with what was done ahead, or lets it make room. */
  yield(): void {
    clearTimeout(this._timer);
  }

  private _send(body: IRequest): void {
    // Nobody waits for it, and a failure costs nothing but its effect.
    this._client.alternatives(body, new AbortController().signal).catch(() => undefined);
  }

  private _timer: ReturnType<typeof setTimeout> | undefined;
}
