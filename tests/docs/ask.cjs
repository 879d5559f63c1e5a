/** Ask a built site's own search, as its pages do: node ask.cjs SITE [typing] < questions.json, of which each last word may be unfinished */
const { readFileSync } = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const files = ['minisearch.js', 'language_data.js', 'search-sections.js', 'search.js'];
const context = vm.createContext({});
context.window = context;
for (const file of files) {
  vm.runInContext(readFileSync(path.join(process.argv[2], '_static', file), 'utf8'), context, {
    filename: file
  });
}
context.typing = process.argv[3] === 'typing';
context.questions = JSON.parse(readFileSync(0, 'utf8'));
const answer = `
  const stemmer = new Stemmer();
  const stems = words => words.map(word => stemmer.stemWord(word.toLowerCase()));
  const ask = TurbopilotSearch.make(turbopilotSections, { MiniSearch, Stemmer });
  JSON.stringify(questions.map(question => ask(question, { most: 10, typing }).map(found => ({
    place: found.page + (found.anchor ? '#' + found.anchor : ''),
    score: found.score,
    excerpt: found.excerpt.map(piece => piece.text).join(''),
    marked: found.excerpt.filter(piece => piece.marked).map(piece => piece.text),
    stems: stems(found.excerpt.filter(piece => piece.marked).map(piece => piece.text)),
    asked: stems(question.match(/[\\w+#]+/g))
  }))));
`;
process.stdout.write(vm.runInContext(answer, context));
