/** Sends feedback on shown suggestions: numbers, no text. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IClient } from './client';
import type { IStep } from './collaboration';
import { positionOf } from './editor';
import type { IPosition, Suggestion } from './suggestion';
import { codePoints } from './window';
import type { IFeedback } from './wire';

/** Milliseconds of typing after which feedback reports how much of an accepted text is retained. */
export const TYPING = 30000;
/** Milliseconds since it was accepted after which feedback reports that once more, at the next keystroke. */
export const LATER = 300000;
/** A longer pause between two keystrokes does not count as typing. */
export const PAUSE = 5000;

type IModel = CodeEditor.IEditor['model']['sharedModel'];

/** A character that is retained. An insertion into a part splits it. */
interface IRetained {
  /** UTF-16 units */
  at: number;
  character: string;
  part: number;
}

/** Return the UTF-16 units that a formatter retains (no white space, quotes unified), and their positions. */
function significant(text: string): { units: string; positions: number[] } {
  const positions = Array.from(text.matchAll(/\S/g), found => found.index);
  return { units: positions.map(at => text.charAt(at).replace("'", '"')).join(''), positions };
}

/** The characters of an inserted text that are retained while the document changes. */
export class Retention {
  /** Track `text`, which begins at `from`. */
  constructor(from: number, text: string) {
    this._retained = Array.from(text.matchAll(/[^]/gu), ({ 0: character, index }) => ({
      at: from + index,
      character,
      part: 0
    }));
  }

  /** The number of retained characters; `null` if unknown. */
  get length(): number | null {
    return this._retained?.length ?? null;
  }

  /** Apply a change of the document. */
  change(steps: readonly IStep[]): void {
    const last = this._retained?.at(-1);
    const least = last ? last.at + last.character.length : 1;
    const removed = steps.reduce((sum, step) => sum + (step.delete ?? 0), 0);
    if (removed >= least && !steps.some(({ retain }) => retain)) {
      // The whole document is replaced, as by a formatter.
      this._retained &&= find(this._retained, steps.map(({ insert = '' }) => insert).join(''));
      return;
    }
    let position = 0;
    for (const { retain = 0, insert = '', delete: deleted = 0 } of steps) {
      position += retain;
      const end = position + deleted;
      this._retained &&= this._retained.filter(({ at }) => at < position || at >= end);
      for (const after of this._retained?.filter(({ at }) => at >= end) ?? []) {
        after.at += insert.length - deleted;
        after.part += insert ? 1 : 0;
      }
      position += insert.length;
    }
  }

  private _retained: IRetained[] | null;
}

/** Find the parts in a new text, in which white space and quotes may differ; null if it spells one differently. */
function find(retained: readonly IRetained[], text: string): IRetained[] | null {
  const { units, positions } = significant(text);
  const found: IRetained[] = [];
  let next = 0;
  for (const number of new Set(retained.map(({ part }) => part))) {
    const part = retained.filter(one => one.part === number);
    const first = units.indexOf(significant(textOf(part)).units, next);
    if (first < 0) {
      // A formatter retains most of a text; a keystroke that replaces the selection does not.
      return 2 * units.length < significant(textOf(retained)).units.length ? [] : null;
    }
    next = first;
    for (const one of part) {
      const isBlank = one.character.trim() === ''; // it goes with the character before it
      const at = positions[isBlank ? Math.max(first, next - 1) : next] ?? text.length;
      found.push({ ...one, at });
      next += isBlank ? 0 : one.character.length;
    }
  }
  return found;
}

function textOf(retained: readonly IRetained[]): string {
  return retained.map(({ character }) => character).join('');
}

/** An accepted text that is followed. */
interface IAccepted {
  id: string;
  model: IModel;
  at: number;
  /** How long the user had been typing when it was accepted. */
  typed: number;
  /** The events that were reported. */
  reported: Set<IFeedback['event']>;
  /** Send feedback on how much of it is retained. */
  report: (event: 'executed' | 'retained') => void;
  /** Stop following it. */
  end: () => void;
}

export class Outcomes {
  constructor(
    private readonly _client: Pick<IClient, 'feedback'>,
    private readonly _now: () => number = () => performance.now()
  ) {}

  /** Listen to keystrokes in an editor; its text may also be changed by other users. */
  watch(editor: CodeEditor.IEditor): void {
    editor.host.addEventListener('keydown', () => this._keystroke());
  }

  /** A suggestion is shown. */
  shown(suggestion: Suggestion): void {
    suggestion.shown = true;
    suggestion.shownAt ??= this._now();
    this._reportShown(suggestion);
  }

  /** The user accepts part or all of the rest; call the returned function once it is in the document. */
  accepted(suggestion: Suggestion, editor: CodeEditor.IEditor, text: string): () => void {
    suggestion.shown = false;
    const rest = suggestion.rest(positionOf(editor));
    // An alternative may have been accepted instead.
    const end = rest?.startsWith(text) ? suggestion.text.length - (rest.length - text.length) : 0;
    const before = Math.max(0, end - text.length);
    this._send(suggestion, 'accepted', end, before);
    return () => this._follow(suggestion, editor, text, before);
  }

  /** A suggestion is no longer shown at a position; null: the editor is closed. `mayReturn`: the next one may be the same. */
  left(suggestion: Suggestion, position: IPosition | null, mayReturn: boolean): void {
    const typed = suggestion.shown && position ? suggestion.typedAt(position) : null;
    if (!typed) {
      return; // another user has changed the text before it
    }
    const isWhole = typed.same === suggestion.text.length;
    if (isWhole || typed.length > typed.same) {
      this._send(suggestion, 'typed_over', typed.same);
    } else if (!mayReturn) {
      this._send(suggestion, 'dismissed', typed.same);
    }
  }

  /** A cell is executed: report on the texts that were accepted in it since the last time. */
  executed(model: IModel): void {
    for (const accepted of this._accepted) {
      if (accepted.model === model && !accepted.reported.has('executed')) {
        accepted.report('executed');
      }
    }
  }

  /** The page is being closed: report on all accepted texts. */
  settle(): void {
    for (const accepted of this._accepted) {
      accepted.report('retained');
      accepted.end();
    }
  }

  /** The user has switched suggestions off: report nothing on the shown and the accepted texts. */
  drop(shown: Suggestion | null): void {
    if (shown) {
      shown.shown = false;
    }
    this._accepted.forEach(accepted => accepted.end());
  }

  /** Follow an accepted text while the user types on. */
  private _follow(suggestion: Suggestion, editor: CodeEditor.IEditor, text: string, before: number): void {
    const { id, text: whole } = suggestion;
    const { text: source, offset } = positionOf(editor);
    const from = offset - text.length;
    if (!id || source.slice(from, offset) !== text) {
      return;
    }
    const retention = new Retention(from, text);
    const model = editor.model.sharedModel;
    const change = (_: IModel, { sourceChange }: { sourceChange?: IStep[] }): void =>
      retention.change(sourceChange ?? []);
    model.changed.connect(change);
    const length = codePoints(whole);
    const charsBefore = codePoints(whole.slice(0, before));
    const at = this._countTyping(); // the time before the acceptance is not typing after it
    const accepted: IAccepted = {
      id,
      model,
      at,
      typed: this._typed,
      reported: new Set(),
      report: event => {
        accepted.reported.add(event);
        if (retention.length !== null) {
          const chars = charsBefore + retention.length;
          const seconds = Math.round((this._now() - at) / 1000);
          this._client.feedback({ id, event, chars, length, before: 0, seconds });
        }
      },
      end: () => {
        model.changed.disconnect(change);
        this._accepted.delete(accepted);
      }
    };
    // Of a suggestion that is accepted in parts, the last part is followed.
    [...this._accepted].find(other => other.id === id)?.end();
    this._accepted.add(accepted);
  }

  /** Add the time since the user's last action to the typing time, up to a pause; return the typing time. */
  private _countTyping(): number {
    const now = this._now();
    this._typed += Math.min(PAUSE, now - this._last);
    this._last = now;
    return now;
  }

  private _keystroke(): void {
    const now = this._countTyping();
    for (const accepted of this._accepted) {
      const isLast = now - accepted.at >= LATER;
      if (this._typed - accepted.typed >= TYPING && (isLast || !accepted.reported.has('retained'))) {
        accepted.report('retained');
        if (isLast) {
          accepted.end();
        }
      }
    }
  }

  /** `end`: how many UTF-16 units of it are in the document; `before`: how many were before it was accepted. */
  private _send(suggestion: Suggestion, event: IFeedback['event'], end: number, before = 0): void {
    if (this._reportShown(suggestion)) {
      const { id, text, shownAt } = suggestion;
      const since = shownAt ?? this._now();
      this._client.feedback({
        id,
        event,
        chars: codePoints(text.slice(0, end)),
        length: codePoints(text),
        before: codePoints(text.slice(0, before)),
        seconds: Math.round((this._now() - since) / 100) / 10
      });
    }
  }

  /** Report `shown` once, as soon as the server has sent an id; return whether it has one. */
  private _reportShown(suggestion: Suggestion): boolean {
    const { id, text, reportedAs } = suggestion;
    if (id && reportedAs !== id) {
      suggestion.reportedAs = id;
      this._send(suggestion, 'shown', text.length);
    }
    return id !== '';
  }

  private readonly _accepted = new Set<IAccepted>();
  private _typed = 0;
  private _last = 0;
}
