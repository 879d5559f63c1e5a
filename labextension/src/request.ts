/** Builds the requests of this page: for suggestions, alternatives and prefetching. */

import { Text } from '@jupyterlab/coreutils';
import { UUID } from '@lumino/coreutils';
import type { Trigger } from './suggestion';
import type { IContext, IDocument } from './document';
import { importsFor, insertInto } from './imports';
import type { ISettings } from './settings';
import type { IPosition, Suggestion } from './suggestion';
import { chooseWindow, codePoints } from './window';
import type { IOtherDocument, IRequest } from './wire';

/** Return the id of the kernel of a document's session, or null. */
export function kernelOf({ session }: IContext): string | null {
  return session?.kernel?.id ?? null;
}

export class RequestBuilder {
  constructor(private readonly _readOthers: (path: string, language: string) => IOtherDocument[]) {}

  /** Build a request for a suggestion. */
  build(
    document: IDocument,
    context: IContext,
    position: IPosition,
    settings: ISettings,
    trigger: Trigger
  ): IRequest {
    const { count, active } = document;
    return {
      ...chooseWindow(count, index => document.cellAt(index), active, position.offset),
      documents: settings.otherDocuments ? this._others(document) : [],
      notebook_index: settings.notebookIndex,
      path: document.path.slice(-4096),
      language: document.language.slice(0, 64),
      kernel_id: kernelOf(context),
      enabled: true, // otherwise no request is built
      trigger,
      lines: settings.lines,
      eagerness: settings.eagerness === 'default' ? null : settings.eagerness,
      stream: true,
      client: this._clientId,
      sequence: ++this._sequence,
      n: 1,
      max_tokens: null,
      temperature: 0
    };
  }

  /** Turn the request for a suggestion into one for alternatives to it. */
  forAlternatives(body: IRequest, alternatives: number): IRequest {
    // One of them is usually the shown suggestion.
    return { ...body, stream: false, client: `${this._clientId}-more`, n: alternatives + 1 };
  }

  /**
   * Turn the request for a suggestion into the next one, after the user has accepted that with its imports. `closers`:
   * what the editor adds after the cursor.
   */
  afterAccepting(
    body: IRequest,
    { text, needs }: Pick<Suggestion, 'text' | 'needs'>,
    closers = ''
  ): IRequest {
    const cells = [...body.cells];
    const { source } = cells[body.active];
    const at = Text.charIndexToJsIndex(body.offset, source);
    const accepted = insertInto(source, { at, text: text + closers });
    const above = importsFor({ text: source, offset: at }, text, needs);
    cells[body.active] = { ...cells[body.active], source: above ? insertInto(accepted, above) : accepted };
    return {
      ...body,
      cells,
      offset: body.offset + codePoints(text) + codePoints(above?.text ?? ''),
      trigger: 'prefetch',
      stream: false,
      sequence: ++this._sequence
    };
  }

  /** Another document has the focus, or metadata of a notebook have changed: read the other documents again. */
  documentChanged(): void {
    this._known = null;
  }

  /** Read the other documents once while this one has the focus: no keystroke in it changes them. */
  private _others({ path, language }: IDocument): IOtherDocument[] {
    if (this._known?.path !== path || this._known.language !== language) {
      this._known = { path, language, others: this._readOthers(path, language) };
    }
    return this._known.others;
  }

  private readonly _clientId = UUID.uuid4();
  /** the number of the last request: the server cannot rely on their order of arrival */
  private _sequence = 0;
  private _known: { path: string; language: string; others: IOtherDocument[] } | null = null;
}
