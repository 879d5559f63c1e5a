/** Ghost text after the cursor of an editor. */

import { Prec, StateEffect, StateField, type Extension } from '@codemirror/state';
import { Decoration, EditorView, keymap, WidgetType } from '@codemirror/view';
import { firstLine, firstWord } from '../src/suggestion';

const setGhost = StateEffect.define<string>();

class Grey extends WidgetType {
  constructor(readonly text: string) {
    super();
  }

  override eq(other: Grey): boolean {
    return other.text === this.text;
  }

  override toDOM(): HTMLElement {
    const grey = document.createElement('span');
    grey.className = 'ghost';
    grey.setAttribute('aria-hidden', 'true'); // the live region reads it out, where that is wanted
    grey.textContent = this.text;
    return grey;
  }

  override ignoreEvent(): boolean {
    return false;
  }
}

const field = StateField.define<string>({
  create: () => '',
  update: (text, transaction) => {
    for (const effect of transaction.effects) {
      if (effect.is(setGhost)) {
        return effect.value;
      }
    }
    // The text or the cursor has changed.
    return transaction.docChanged || transaction.selection ? '' : text;
  },
  provide: self =>
    EditorView.decorations.from(self, text => view => {
      const widget = Decoration.widget({ widget: new Grey(text), side: 1 });
      return text ? Decoration.set(widget.range(view.state.selection.main.head)) : Decoration.none;
    })
});

/** The grey text that is shown; empty: none. */
export function ghostOf(view: EditorView): string {
  return view.state.field(field);
}

export function showGhost(view: EditorView, text: string): void {
  if (ghostOf(view) !== text) {
    view.dispatch({ effects: setGhost.of(text) });
  }
}

/** A command that accepts a part of the ghost text; without ghost text, the key keeps its default action. */
function take(partOf: (text: string) => string): (view: EditorView) => boolean {
  return view => {
    const part = partOf(ghostOf(view));
    if (!part) {
      return false;
    }
    const { head } = view.state.selection.main;
    const insert = view.state.toText(part); // a line end may be shorter in the document
    view.dispatch({
      changes: { from: head, insert },
      selection: { anchor: head + insert.length },
      userEvent: 'input.complete',
      scrollIntoView: true
    });
    return true;
  };
}

/** Ghost text and its keys; `dismissed` is called on Escape. */
export function ghostText(dismissed: () => void): Extension {
  const dismiss = (view: EditorView): boolean => {
    showGhost(view, '');
    dismissed();
    return false; // after Escape, Tab leaves the editor
  };
  const keys = [
    { key: 'Tab', run: take(text => text) },
    { key: 'Ctrl-ArrowRight', run: take(text => text && firstWord(text)) },
    { key: 'Alt-ArrowRight', run: take(text => text && firstLine(text)) },
    { key: 'Escape', run: dismiss }
  ];
  return [field, Prec.highest(keymap.of(keys))];
}
