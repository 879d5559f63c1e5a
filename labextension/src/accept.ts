/** Taking a suggestion: all of it, a word, a line; each one step to undo. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import { type IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
import { CommandRegistry } from '@lumino/commands';
import type { Widget } from '@lumino/widgets';
import { firstLine, firstWord } from './suggestion';

const SEVERAL = 'jp-mod-turbopilot-several';
const ACTIVE = '.jp-mod-inline-completer-active:not(.jp-mod-completer-active)';

/**
 * The completer takes a reply for a further one as soon as any provider has ended, be it in an error,
 * and drops it where no first one was set. Make it the first, then.
 */
function keepLate(completer: InlineCompleter): void {
  const { model } = completer;
  if (model) {
    const append = model.appendCompletions.bind(model);
    model.appendCompletions = reply =>
      model.completions?.items ? append(reply) : model.setCompletions(reply);
  }
}

/**
 * The completer leaves grey text and its mark on the editor when nothing is left to show, and the keys that go
 * by the mark (Tab, Escape) would do nothing there. With several suggestions it shows which of them it is.
 */
function keepTrue(completer: InlineCompleter): void {
  const count = (): number => completer.model?.completions?.items?.length ?? 0;
  const clear = (): void => {
    if (count() === 0 && completer.isActive) {
      completer.model?.reset();
    }
  };
  const look = (): void => {
    completer.toggleClass(SEVERAL, count() > 1);
    if (count() === 0) {
      // An editor that is being changed cannot be changed.
      setTimeout(clear, 0);
    }
  };
  completer.model?.suggestionsChanged.connect(look);
  completer.model?.filterTextChanged.connect(look);
}

interface IUndoManager {
  stopCapturing(): void;
}

interface IView {
  dispatch(change: unknown): void;
}

export class Acceptor {
  constructor(
    private readonly _identifiers: string[],
    private readonly _accepted: (text: string) => void,
    private readonly _attached: (editor: CodeEditor.IEditor) => void
  ) {}

  /** Know every completer the factory makes from now on, and give its `accept` a step of its own. */
  wrap(factory: IInlineCompleterFactory): void {
    const make = factory.factory.bind(factory);
    factory.factory = options => {
      const completer = make(options);
      this._completers.add(completer);
      completer.disposed.connect(() => this._completers.delete(completer));
      this._follow(completer);
      keepLate(completer);
      keepTrue(completer);
      const accept = completer.accept.bind(completer);
      completer.accept = () =>
        this._inOneStep(completer, () => {
          const text = completer.current?.insertText ?? '';
          this._tell(completer, text);
          accept();
        });
      return completer;
    };
  }

  /**
   * Let our shortcuts go before the editor's own while there is grey text:
   * an editor moves its cursor by Ctrl → and Alt → and tells nobody else of the key.
   */
  claimKeys(commands: CommandRegistry, owned: string[]): void {
    document.addEventListener(
      'keydown',
      event => {
        const inside = (event.target as Element | null)?.closest?.(ACTIVE);
        if (!inside || !this.active) {
          return;
        }
        const stroke = CommandRegistry.keystrokeForKeydownEvent(event);
        const ours = commands.keyBindings.some(
          binding =>
            owned.includes(binding.command) && binding.keys.length === 1 && binding.keys[0] === stroke
        );
        if (ours) {
          commands.processKeydownEvent(event);
        }
      },
      true
    );
  }

  /** Whether there is grey text to take. */
  get active(): boolean {
    return this._current() !== undefined;
  }

  /** The editor inside a widget that can be completed. */
  editorIn(widget: Widget | null): CodeEditor.IEditor | null {
    for (const { editor } of this._completers) {
      if (editor && !editor.isDisposed && widget?.node.contains(editor.host)) {
        return editor;
      }
    }
    return null;
  }

  acceptWord(): void {
    this._acceptPart(firstWord);
  }

  acceptLine(): void {
    this._acceptPart(firstLine);
  }

  /** Take the grey text away, whatever the completer still knows of it. */
  dismiss(): void {
    for (const completer of this._completers) {
      if (completer.isActive) {
        completer.model?.reset();
      }
    }
  }

  /** Tell of every editor the completer is given: one of a new cell has to be known before its first key. */
  private _follow(completer: InlineCompleter): void {
    const own = Object.getOwnPropertyDescriptor(InlineCompleter.prototype, 'editor');
    if (!own?.get || !own.set) {
      return;
    }
    // The accessors are called with the completer they belong to.
    const { get, set } = own as Required<Pick<PropertyDescriptor, 'get' | 'set'>>;
    const attached = (editor: CodeEditor.IEditor | null | undefined) => {
      if (editor) {
        this._attached(editor);
      }
    };
    Object.defineProperty(completer, 'editor', {
      configurable: true,
      get: () => get.call(completer) as CodeEditor.IEditor | null,
      set: (editor: CodeEditor.IEditor | null) => {
        set.call(completer, editor);
        attached(editor);
      }
    });
    attached(completer.editor);
  }

  private _acceptPart(part: (text: string) => string): void {
    const completer = this._current();
    const editor = completer?.editor;
    const text = completer?.current?.insertText;
    if (!completer || !editor || !text) {
      return;
    }
    const taken = part(text);
    if (taken === text) {
      completer.accept();
      return;
    }
    this._inOneStep(completer, () => {
      const from = editor.getOffsetAt(editor.getCursorPosition());
      this._tell(completer, taken);
      (editor as unknown as { editor: IView }).editor.dispatch({
        changes: { from, insert: taken },
        selection: { anchor: from + taken.length },
        userEvent: 'input.complete',
        scrollIntoView: true
      });
    });
  }

  private _tell(completer: InlineCompleter, text: string): void {
    const provider = completer.current?.provider.identifier;
    if (provider && this._identifiers.includes(provider)) {
      this._accepted(text);
    }
  }

  /** Keystrokes close in time share an undo step; a suggestion gets its own. */
  private _inOneStep(completer: InlineCompleter, work: () => void): void {
    const shared = completer.editor?.model.sharedModel as { undoManager?: IUndoManager | null } | undefined;
    shared?.undoManager?.stopCapturing();
    work();
    shared?.undoManager?.stopCapturing();
  }

  private _current(): InlineCompleter | undefined {
    for (const completer of this._completers) {
      const items = completer.model?.completions?.items;
      if (items?.length && completer.isActive && completer.editor?.hasFocus()) {
        return completer;
      }
    }
    return undefined;
  }

  private readonly _completers = new Set<InlineCompleter>();
}
