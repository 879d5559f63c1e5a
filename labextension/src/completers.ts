/** JupyterLab's inline completers: which there are, the editors they are given, fixing what they show. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import { type IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

/**
 * The completer takes a reply for a further one as soon as any provider has ended, be it in an error,
 * and drops it where no first one was set. Make it the first, then.
 */
function keepLateReplies(completer: InlineCompleter): void {
  const { model } = completer;
  if (model) {
    const append = model.appendCompletions.bind(model);
    model.appendCompletions = reply =>
      model.completions?.items ? append(reply) : model.setCompletions(reply);
  }
}

/**
 * The completer leaves grey text and its mark on the editor when nothing is left to show, and the keys that go
 * by the mark (Tab, Escape) would do nothing there.
 */
function keepMarksTrue(completer: InlineCompleter): void {
  const count = (): number => completer.model?.completions?.items?.length ?? 0;
  const clear = (): void => {
    if (count() === 0 && completer.isActive) {
      completer.model?.reset();
    }
  };
  const update = (): void => {
    if (count() === 0) {
      // An editor that is being changed cannot be changed.
      setTimeout(clear, 0);
    }
  };
  completer.model?.suggestionsChanged.connect(update);
  completer.model?.filterTextChanged.connect(update);
}

export class Completers {
  /** Know every completer the factory makes from now on. */
  wrap(factory: IInlineCompleterFactory): void {
    const make = factory.factory.bind(factory);
    factory.factory = options => {
      const completer = make(options);
      this._completers.add(completer);
      completer.disposed.connect(() => this._completers.delete(completer));
      this._followEditor(completer);
      keepLateReplies(completer);
      keepMarksTrue(completer);
      const cycle = completer.cycle.bind(completer);
      completer.cycle = direction => {
        cycle(direction);
        this.cycled.emit(completer);
      };
      this.created.emit(completer);
      return completer;
    };
  }

  readonly created = new Signal<this, InlineCompleter>(this);

  /** Completers in which the user has switched to another suggestion. */
  readonly cycled = new Signal<this, InlineCompleter>(this);

  /** Every editor a completer is given: one of a new cell has to be known before its first key. */
  readonly attached = new Signal<this, CodeEditor.IEditor>(this);

  /** The completer that shows grey text where the person types. */
  get active(): InlineCompleter | undefined {
    for (const completer of this._completers) {
      const items = completer.model?.completions?.items;
      if (items?.length && completer.isActive && completer.editor?.hasFocus()) {
        return completer;
      }
    }
    return undefined;
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

  /**
   * Remove the ghost text once the running code returns: JupyterLab also calls providers during an update of an editor,
   * which CodeMirror does not allow to be changed before the update ends.
   */
  dismiss(): void {
    queueMicrotask(() => {
      for (const completer of this._completers) {
        if (completer.isActive) {
          completer.model?.reset();
        }
      }
    });
  }

  private _followEditor(completer: InlineCompleter): void {
    const own = Object.getOwnPropertyDescriptor(InlineCompleter.prototype, 'editor');
    if (!own?.get || !own.set) {
      return;
    }
    // The accessors are called with the completer they belong to.
    const { get, set } = own as Required<Pick<PropertyDescriptor, 'get' | 'set'>>;
    const announce = (editor: CodeEditor.IEditor | null | undefined) => {
      if (editor) {
        this.attached.emit(editor);
      }
    };
    Object.defineProperty(completer, 'editor', {
      configurable: true,
      get: () => get.call(completer) as CodeEditor.IEditor | null,
      set: (editor: CodeEditor.IEditor | null) => {
        set.call(completer, editor);
        announce(editor);
      }
    });
    announce(completer.editor);
  }

  private readonly _completers = new Set<InlineCompleter>();
}
