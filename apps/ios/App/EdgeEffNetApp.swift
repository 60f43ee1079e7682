import SwiftUI

@main
struct EdgeEffNetApp: App {
    @State private var engine = Engine()

    var body: some Scene {
        WindowGroup {
            TabView {
                ClassifyScreen(engine: engine)
                    .tabItem { Label("Classify", systemImage: "camera") }
                BenchmarkScreen(engine: engine)
                    .tabItem { Label("Benchmark", systemImage: "speedometer") }
                SelfTestScreen(engine: engine)
                    .tabItem { Label("Self-test", systemImage: "checkmark.seal") }
            }
        }
    }
}
