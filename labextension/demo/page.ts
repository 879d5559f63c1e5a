/** The demo page: an editor, the client of the browser engine, and the status of the model. */

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import {
  bracketMatching,
  defaultHighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting
} from '@codemirror/language';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { LiveRegion } from '../src/liveregion';
import { LocalClient } from '../src/local/client';
import { isModifier } from '../src/modifierkeys';
import { Asker, type IChoice } from './asker';
import { darkHighlightStyle } from './dark';
import { ghostText } from './ghost';
import { type ILanguage, LANGUAGES } from './languages';
import { errorInWords, expectationInWords, modelInWords, Speed, stepInWords } from './status';

/** Milliseconds between health checks after a failure. */
const LOOK = 2000;
/** The status after an explicit request without a suggestion, until the next keystroke. */
const NOTHING = 'No suggestion here.';

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`The page has no ${id}.`);
  }
  return found;
}

const status = element('status', HTMLElement);
const languages = element('language', HTMLSelectElement);
const eagerness = element('eagerness', HTMLSelectElement);
const announce = element('announce', HTMLInputElement);
const live = new LiveRegion('unseen');
const speed = new Speed();

function say(words: string, isError = false): void {
  if (status.textContent !== words) {
    status.textContent = words; // the same words are not read out at each key
  }
  status.classList.toggle('error', isError);
}

/** Announce a suggestion if announcements are enabled. */
function readOut(suggestion: string): void {
  if (announce.checked && suggestion) {
    live.say(`Suggestion: ${suggestion}`);
  }
}

const client = new LocalClient({
  catalogue: new URL('./models.json', document.baseURI).href,
  connect: () => new Worker(new URL('../src/local/worker.ts', import.meta.url), { type: 'module' }),
  progress: step => say(stepInWords(step))
});

function choice(): IChoice {
  const { name, path } = LANGUAGES[languages.selectedIndex];
  return { language: name, path, eagerness: eagerness.value as IChoice['eagerness'] };
}

const asker = new Asker(client, choice, {
  ready: () => void ready(),
  answered: (rest, ms, invoked) => {
    element('speed', HTMLElement).textContent = speed.note(ms);
    if (invoked && !rest) {
      say(NOTHING);
    }
    readOut(rest);
  },
  recalled: readOut,
  failed: reason => {
    say(errorInWords(reason), true);
    look();
  }
});

let looking: ReturnType<typeof setTimeout> | undefined;

/** Check after a delay whether the model is loaded. */
function look(): void {
  clearTimeout(looking);
  looking = setTimeout(() => {
    void client.health().then(({ ready: isReady, phase, reason }) => {
      if (isReady) {
        void ready();
      } else if (phase === 'failed' || phase === 'loading') {
        if (reason) {
          say(reason, true);
        }
        look();
      }
    });
  }, LOOK);
}

let reported = '';

/** The model is loaded: show its name. */
async function ready(): Promise<void> {
  say('Ready.');
  const { model: name } = await client.health();
  if (name === reported) {
    return; // do not query the worker at each keystroke
  }
  reported = name;
  const models = await client.models().catch(() => []);
  const model = models.find(({ selected }) => selected);
  if (model) {
    element('model', HTMLElement).textContent = modelInWords(model);
  }
}

function ask(editor: EditorView): boolean {
  asker.invoke(editor);
  return true;
}

const grammar = new Compartment();
const colours = new Compartment();
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const coloursNow = () =>
  dark.matches ? syntaxHighlighting(darkHighlightStyle) : syntaxHighlighting(defaultHighlightStyle);

const view: EditorView = new EditorView({
  parent: element('editor', HTMLElement),
  state: EditorState.create({
    extensions: [
      ghostText(() => asker.dismiss(view)),
      asker.extension,
      history(),
      indentOnInput(),
      bracketMatching(),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': 'Code', 'aria-describedby': 'status' }),
      EditorView.domEventObservers({
        keydown: event => {
          if (!isModifier(event) && status.textContent === NOTHING) {
            say('Ready.');
          }
        }
      }),
      EditorView.domEventHandlers({
        focus: () => {
          if (!reported) {
            say('Loading the model…');
            asker.warm(view);
          }
        }
      }),
      keymap.of([{ key: 'Alt-\\', run: ask }, ...defaultKeymap, ...historyKeymap, indentWithTab]),
      EditorState.tabSize.of(4),
      grammar.of([]),
      colours.of(coloursNow())
    ]
  })
});

dark.addEventListener('change', () => view.dispatch({ effects: colours.reconfigure(coloursNow()) }));

/** Show a note for languages other than the model's main language. */
async function note(chosen: ILanguage): Promise<void> {
  const best = await client.knowsBetter(chosen.name).catch(() => ''); // `failed` reports a missing list
  const known = LANGUAGES.find(({ name }) => name === best);
  if (chosen === LANGUAGES[languages.selectedIndex]) {
    element('note', HTMLElement).textContent = known ? expectationInWords(chosen.label, known.label) : '';
  }
}

async function useLanguage(): Promise<void> {
  const chosen = LANGUAGES[languages.selectedIndex];
  asker.clear(view);
  void note(chosen);
  const loaded = await chosen.load().catch(() => []); // without a connection: no colours
  if (chosen === LANGUAGES[languages.selectedIndex]) {
    view.dispatch({ effects: grammar.reconfigure([indentUnit.of(chosen.indent), loaded]) });
  }
}

languages.append(...LANGUAGES.map(({ name, label }) => new Option(label, name)));
languages.addEventListener('change', () => void useLanguage());
void useLanguage();

// The service worker makes the page available offline.
if ('serviceWorker' in navigator && import.meta.env.PROD) {
  navigator.serviceWorker.register('./service-worker.js').catch(() => undefined);
}
