/** What the page starts with: the opening of Moby Dick (Herman Melville, 1851), and lines that the entropy model has never seen. */
export const SAMPLE_TEXT = `Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the world. It is a way I have of driving off the spleen and regulating the circulation.

Whenever I find myself growing grim about the mouth; whenever it is a damp, drizzly November in my soul; whenever I find myself involuntarily pausing before coffin warehouses, and bringing up the rear of every funeral I meet; then, I account it high time to get to sea as soon as I can.

for (let i = 0; i < bytes.length; i++) total += bytes[i];
Été, naïve, Straße, Ελλάδα, 日本語, 🐋
`;
