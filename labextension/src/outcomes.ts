/** What becomes of the suggestions that are shown, in numbers: no text is sent. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { ICompletionClient } from './client';
import { placeOf } from './editor';
import type { Run } from './inflight';
import { type IStep, Kept } from './kept';
import { codePoints } from './window';
import type { IFeedback } from './wire';

/** Milliseconds of typing after which feedback says what is left of what was taken. */
export const TYPING = 30000;
/** Milliseconds since it was taken after which feedback says that once more, at the next key. */
export const LATER = 300000;
/** A longer pause than this between two keys is no typing. */
export const PAUSE = 5000;
/** Texts that are followed at a time. */
const MOST = 128;

type IModel = CodeEditor.IEditor['model']['sharedModel'];

interface ITaken {
  id: string;
  at: number;
  /** How long the person had been typing when it was taken. */
  typed: number;
  /** How much of the suggestion stood there before that. */
  before: number;
  /** How much there was of it. */
  length: number;
  /** Whether it was said already what is left of it. */
  told: boolean;
  kept: Kept;
  end: () => void;
}

export class Outcomes {
  constructor(
    private readonly _client: Pick<ICompletionClient, 'feedback'>,
    private readonly _now: () => number = () => performance.now()
  ) {}

  /** Know when the person types in an editor: its text may be changed by others, too. */
  watch(editor: CodeEditor.IEditor): void {
    editor.host.addEventListener('keydown', () => this._tick());
  }

  /** A suggestion is shown. */
  shown(run: Run): void {
    run.shown = true;
    if (!this._since.has(run)) {
      this._since.set(run, this._now());
    }
    this._name(run);
  }

  /** Part or all of what is left of it is taken; call what is returned once that stands before the cursor. */
  accepted(run: Run, text: string): () => void {
    run.shown = false;
    const { rest } = run;
    // Another one may have been taken in its place.
    const stands = rest?.startsWith(text) ? run.suggestion.text.length - (rest.length - text.length) : 0;
    const before = Math.max(0, stands - text.length);
    this._send(run, 'accepted', stands, before);
    return () => this._follow(run, text, before);
  }

  /** A suggestion that was shown is left. `goesOn`: for one that may be the same. */
  left(run: Run, goesOn: boolean): void {
    if (!run.shown) {
      return;
    }
    const typed = run.editor.isDisposed ? null : run.suggestion.typedAt(placeOf(run.editor));
    if (!typed) {
      return; // others have changed the text that it was about
    }
    const whole = typed.same === run.suggestion.text.length;
    if (whole || typed.length > typed.same) {
      this._send(run, 'typed_over', typed.same);
    } else if (!goesOn) {
      this._send(run, 'dismissed', typed.same);
    }
  }

  /** Say what is left of all that was taken, and follow nothing any more. */
  settle(): void {
    this._report(() => true);
  }

  /** Follow what was taken while the person types on. */
  private _follow(run: Run, text: string, before: number): void {
    const { id, editor } = run;
    const { text: source, offset } = placeOf(editor);
    const from = offset - text.length;
    if (!id || source.slice(from, offset) !== text) {
      return;
    }
    const kept = new Kept(from, text);
    const model = editor.model.sharedModel;
    const change = (_: IModel, { sourceChange }: { sourceChange?: IStep[] }): void =>
      kept.change(sourceChange ?? []);
    model.changed.connect(change);
    const end = (): void => void model.changed.disconnect(change);
    // Of one that is taken piece by piece, the last piece is followed.
    this._end(({ id: other }) => other === id);
    const { text: whole } = run.suggestion;
    // What it took to read it does not count as typing after it.
    const at = this._count();
    this._taken.push({
      id,
      at,
      typed: this._typed,
      before: codePoints(whole.slice(0, before)),
      length: codePoints(whole),
      told: false,
      kept,
      end
    });
    if (this._taken.length > MOST) {
      this._taken.shift()?.end();
    }
  }

  /** The person did something: count the time since the last thing as typed, unless it was a pause; return the time. */
  private _count(): number {
    const now = this._now();
    this._typed += Math.min(PAUSE, now - this._last);
    this._last = now;
    return now;
  }

  /** A key was pressed. */
  private _tick(): void {
    const now = this._count();
    const due = this._taken.filter(({ typed }) => this._typed - typed >= TYPING);
    this._report(taken => due.includes(taken) && now - taken.at >= LATER);
    for (const taken of due) {
      if (!taken.told && now - taken.at < LATER) {
        taken.told = true;
        this._tell(taken);
      }
    }
  }

  /** Say for the last time what is left of some of what was taken; nothing where that is not known any more. */
  private _report(which: (taken: ITaken) => boolean): void {
    this._end(which).forEach(taken => this._tell(taken));
  }

  private _tell({ id, at, before, length, kept }: ITaken): void {
    if (kept.length !== null) {
      const seconds = Math.round((this._now() - at) / 1000);
      const chars = before + kept.length;
      this._client.feedback({ id, event: 'retained', chars, length, before: 0, seconds });
    }
  }

  private _end(which: (taken: ITaken) => boolean): ITaken[] {
    const ended = this._taken.filter(which);
    this._taken = this._taken.filter(taken => !which(taken));
    ended.forEach(({ end }) => end());
    return ended;
  }

  /** `stands`: how much of it stands in the document, in UTF-16 units; `before`: and before that was taken. */
  private _send(run: Run, event: IFeedback['event'], stands: number, before = 0): void {
    if (this._name(run)) {
      const { text } = run.suggestion;
      const since = this._since.get(run) ?? this._now();
      this._client.feedback({
        id: run.id,
        event,
        chars: codePoints(text.slice(0, stands)),
        length: codePoints(text),
        before: codePoints(text.slice(0, before)),
        seconds: Math.round((this._now() - since) / 100) / 10
      });
    }
  }

  /** Say once that it is shown, as soon as the server has named it; return whether it has a name. */
  private _name(run: Run): boolean {
    if (run.id && this._named.get(run) !== run.id) {
      this._named.set(run, run.id);
      this._send(run, 'shown', run.suggestion.text.length);
    }
    return run.id !== '';
  }

  private readonly _since = new WeakMap<Run, number>();
  /** Under which name it was said that they are shown. */
  private readonly _named = new WeakMap<Run, string>();
  private _taken: ITaken[] = [];
  private _typed = 0;
  private _last = 0;
}
