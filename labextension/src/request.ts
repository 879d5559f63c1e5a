/** Building a request: the document, other open documents, the person's settings. */

import { UUID } from '@lumino/coreutils';
import type { IContext, IDocument } from './document';
import type { ISettings } from './settings';
import type { IPlace } from './suggestion';
import { chooseWindow } from './window';
import type { IOtherDocument, IRequest } from './wire';

export class RequestBuilder {
  constructor(private readonly _readOthers: (path: string, language: string) => IOtherDocument[]) {}

  /** Build a request for a suggestion; `invoked`: the person asked for it. */
  build(
    document: IDocument,
    context: IContext,
    place: IPlace,
    settings: ISettings,
    invoked: boolean
  ): IRequest {
    const window = chooseWindow(
      document.count,
      index => document.cellAt(index),
      document.active,
      place.offset
    );
    return {
      ...window,
      extra: settings.otherDocuments ? this._others(document) : [],
      memory: settings.memory,
      path: document.path.slice(-4096),
      language: document.language.slice(0, 64),
      kernel_id: context.session?.kernel?.id ?? null,
      trigger: invoked ? 'invoke' : 'automatic',
      lines: settings.lines,
      eagerness: settings.eagerness === 'default' ? null : settings.eagerness,
      stream: true,
      client: this._clientId,
      n: 1,
      max_tokens: settings.maxTokens || null,
      temperature: 0
    };
  }

  /** Turn the request for a suggestion into one for alternatives to it. */
  forAlternatives(body: IRequest, alternatives: number): IRequest {
    // The first is the one that is shown already.
    return { ...body, stream: false, client: `${this._clientId}-more`, n: alternatives + 1 };
  }

  /** Another document has the focus now: the others may have changed meanwhile. */
  documentChanged(): void {
    this._known = null;
  }

  /** Other documents as they stood when this one got the focus: no key in it changes them. */
  private _others({ path, language }: IDocument): IOtherDocument[] {
    if (this._known?.path !== path || this._known.language !== language) {
      this._known = { path, language, others: this._readOthers(path, language) };
    }
    return this._known.others;
  }

  private readonly _clientId = UUID.uuid4();
  private _known: { path: string; language: string; others: IOtherDocument[] } | null = null;
}
